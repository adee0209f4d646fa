// SPDX-License-Identifier: Apache-2.0
import SensorGateway
import SwiftZSSP

// sensor FOLDER                        prints the sensor's key
// sensor FOLDER HOST:PORT KEY          sends lines of standard input as readings
// sensor FOLDER HOST:PORT KEY enrol    the same; the first line is the password, so it is not in the list of processes
let arguments = CommandLine.arguments
guard [2, 4, 5].contains(arguments.count) else { fatalError("usage: sensor FOLDER [HOST:PORT KEY [enrol]]") }
let site = try Site(arguments[1], Logger(label: "sensor"))
if arguments.count == 2 {
  print(site.key.publicKey)
} else {
  let gateway = try PublicKey(text: arguments[3])
  if arguments.count == 5 { _ = try await site.store.enrol(gateway, with: OneTimePassword(text: readLine() ?? "")) }
  let endpoint = try await site.bind(port: 0)
  let session = try endpoint.reconnectingSession(to: arguments[2], key: gateway)
  // Detached, because readLine blocks this thread.
  let acknowledgements = Task.detached {
    for await reading in session.messages { print("taken: \(String(decoding: reading, as: UTF8.self))") }
  }
  while let line = readLine() { try await session.send(Array(line.utf8)) }
  await session.close()
  await acknowledgements.value
}
try await site.store.close()
