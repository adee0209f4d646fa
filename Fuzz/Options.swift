// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
@testable import ZSSP
@testable import ZSSPNIO

@testable import ZSSPCommand

/// Text that people type: addresses, durations, command lines. One byte chooses, the rest is text.
func fuzz(_ input: inout FuzzInput) {
  switch input.byte() % 4 {
  case 0: readAddress(input.restAsText())
  case 1: convertAddress(&input)
  case 2: readDuration(input.restAsText())
  default: readArguments(input.restAsText())
  }
}

private func readAddress(_ text: String) {
  let socket: SocketAddress
  do {
    socket = try SocketAddress(hostAndPort: text)
  } catch {
    return expect(!error.description.isEmpty, "an error says what is wrong")
  }
  guard let address = Address(socket) else { return expect(false, "an address of IP is one") }
  // A scope has a name on this machine only, so it is not written.
  guard address.scope == 0 else { return }
  guard let again = try? SocketAddress(hostAndPort: socket.text) else {
    return expect(false, "\(socket.text) can be read again")
  }
  expect(Address(again) == address, "\(socket.text) is the same address")
}

private func convertAddress(_ input: inout FuzzInput) {
  let address =
    input.flag()
    ? Address(ipv4: input.integer(UInt32.self), port: input.integer(UInt16.self))
    : Address(
      ipv6: input.integer(UInt64.self), input.integer(UInt64.self), port: input.integer(UInt16.self),
      scope: input.integer(UInt32.self))
  expect(address.mapped.unmapped == address.unmapped, "an IPv4 address comes back from an IPv6 socket")
  expect(Address(address.socketAddress) == address, "an address comes back from NIO")
  expect(Address(SocketAddress(address)) == address.unmapped, "and as IPv4 if that is what it is")
}

private func readDuration(_ text: String) {
  guard let duration = try? SecurityOptions.duration(text) else { return }
  expect(duration >= .zero && duration <= .seconds(3_600_000_000_000), "\(text) is \(duration)")
  var settings = Settings()
  settings.rekeyAfter = duration
  settings.rekeyJitter = duration / 6
  expect(settings.rekeyJitter <= settings.rekeyAfter, "a key is not replaced before it is made")
}

/// Parses a command line, an argument a line, without running it.
private func readArguments(_ text: String) {
  let arguments = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  do {
    _ = try Zssp.parseAsRoot(arguments)
  } catch {
    expect(!Zssp.fullMessage(for: error).isEmpty, "an error says what is wrong")
  }
}
