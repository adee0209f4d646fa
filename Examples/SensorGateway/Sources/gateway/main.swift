// SPDX-License-Identifier: Apache-2.0
import SensorGateway
import SwiftZSSP

// gateway FOLDER PORT: serves the sensors in FOLDER/allowed. gateway FOLDER enrol KEY: prints a password for a sensor.
let arguments = CommandLine.arguments
guard arguments.count >= 3 else { fatalError("usage: gateway FOLDER PORT | gateway FOLDER enrol KEY") }
let site = try Site(arguments[1], Logger(label: "gateway"))
if arguments[2] == "enrol", arguments.count == 4 {
  let password = OneTimePassword.generate()
  let enrolment = try await site.store.enrol(PublicKey(text: arguments[3]), with: password)
  print(enrolment == .stored ? password.text : "known already")
} else {
  let endpoint = try await site.bind(port: Int(arguments[2]) ?? 4500)
  print("gateway \(endpoint.publicKey) at port \(endpoint.localAddress.port ?? 0)")
  let gateway = Gateway(endpoint, try AllowList(contentsOf: "\(arguments[1])/allowed")) { sensor, reading in
    print("\(sensor): \(String(decoding: reading, as: UTF8.self))")
  }
  try await ServiceGroup(services: [gateway], gracefulShutdownSignals: [.sigterm, .sigint], logger: site.logger).run()
}
try await site.store.close()
