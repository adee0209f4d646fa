// SPDX-License-Identifier: Apache-2.0
import SensorGateway
import SwiftZSSP

// sensor FOLDER: prints the sensor's key. sensor FOLDER HOST:PORT KEY PASSWORD: sends lines of standard input as readings.
let arguments = CommandLine.arguments
guard arguments.count == 2 || arguments.count == 5 else { fatalError("usage: sensor FOLDER [HOST:PORT KEY PASSWORD]") }
let site = try Site(arguments[1], Logger(label: "sensor"))
if arguments.count == 2 {
  print(site.key.publicKey)
} else {
  let gateway = try PublicKey(text: arguments[3])
  _ = try await site.store.enrol(gateway, with: OneTimePassword(text: arguments[4]))
  let endpoint = try await site.bind(port: 0)
  let session = try endpoint.reconnectingSession(to: arguments[2], key: gateway)
  let acknowledgements = Task {
    for await reading in session.messages { print("taken: \(String(decoding: reading, as: UTF8.self))") }
  }
  while let line = readLine() { try await session.send(Array(line.utf8)) }
  await session.close()
  await acknowledgements.value
}
try await site.store.close()
