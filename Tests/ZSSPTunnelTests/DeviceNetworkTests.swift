// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import Testing
import ZSSPTestSupport

@testable import ZSSPTunnel

/// The addresses and routes of the device after changes, with a kernel that deletes more than it is
/// told to.
@Suite(.tags(.fast))
struct DeviceNetworkTests {
  /// The rules of Linux with `promote_secondaries` 0.
  private final class Kernel: NetworkSystem {
    struct State {
      /// The addresses in the order in which they were added: the first of a network is its primary
      /// address.
      var addresses: [IPPrefix] = []
      var routes: Set<DeviceRoute> = []
      /// Lines that fail, and the reason.
      var refused: [String: String] = [:]
      var batches = 0
    }

    let state: NIOLockedValueBox<State>

    init(_ addresses: [IPPrefix], routes: [DeviceRoute] = []) {
      state = NIOLockedValueBox(State(addresses: addresses, routes: Set(routes)))
    }

    func addresses() -> Set<IPPrefix> { state.withLockedValue { Set($0.addresses) } }

    func existing(_ routes: [DeviceRoute]) -> Set<DeviceRoute> {
      state.withLockedValue { $0.routes.intersection(routes) }
    }

    func run(_ lines: [String]) -> [SystemCommand.LineFailure] {
      state.withLockedValue { state in
        if !lines.isEmpty { state.batches += 1 }
        return lines.compactMap { line in
          guard let reason = state.refused[line] ?? Self.run(line, state: &state) else { return nil }
          return SystemCommand.LineFailure(line: line, reason: reason)
        }
      }
    }

    private static func run(_ line: String, state: inout State) -> String? {
      let words = line.split(separator: " ")
      guard let prefix = IPPrefix(words[2]) else { return "syntax" }
      let route = DeviceRoute(prefix: prefix, table: words.count > 6 ? UInt32(words[6]) : nil)
      switch (words[0], words[1]) {
      case ("address", "add"):
        // IPv6 has each address once, whatever its length.
        let isTaken = state.addresses.contains {
          $0 == prefix || prefix.address.family == .v6 && $0.address == prefix.address
        }
        if isTaken { return "RTNETLINK answers: File exists" }
        state.addresses.append(prefix)
      case ("address", "del"):
        guard let index = state.addresses.firstIndex(of: prefix) else { return "Cannot assign requested address" }
        let isPrimary = !state.addresses[..<index].contains { $0.network == prefix.network }
        state.addresses.remove(at: index)
        guard prefix.address.family == .v4 else { return nil }
        if isPrimary { state.addresses.removeAll { $0.network == prefix.network } }
        if !state.addresses.contains(where: { $0.address.family == .v4 }) {
          state.routes = state.routes.filter { $0.prefix.address.family == .v6 }
        }
      case ("route", "add"):
        if !state.routes.insert(route).inserted { return "RTNETLINK answers: File exists" }
      case ("route", "del"):
        if state.routes.remove(route) == nil { return "RTNETLINK answers: No such process" }
      default: return "syntax"
      }
      return nil
    }
  }

  private func prefixes(_ texts: [String]) throws -> [IPPrefix] { try texts.map { try #require(IPPrefix($0)) } }

  private func routes(_ texts: [String]) throws -> [DeviceRoute] {
    try prefixes(texts).map { DeviceRoute(prefix: $0) } + [
      DeviceRoute(prefix: try prefixes(["0.0.0.0/0"])[0], table: 20_763)
    ]
  }

  private func make(_ kernel: Kernel, routes: [DeviceRoute]) -> DeviceNetwork {
    DeviceNetwork(
      device: "t", addresses: kernel.state.withLockedValue(\.addresses), routes: routes, system: kernel)
  }

  /// An address in the same network goes with the one that it replaces, and with the last one the
  /// routes go.
  @Test(arguments: [
    ["10.77.0.9/24"], ["10.78.0.1/24"], ["10.77.0.1/32"], ["10.77.0.9/24", "10.77.0.10/24"],
    ["10.77.0.9/24", "fd00::1/128"], ["fd00::1/128"], [],
  ])
  func theDeviceHasWhatIsWanted(next: [String]) throws {
    let wanted = try routes(["10.40.0.0/16", "fd40::/64"])
    let kernel = Kernel(try prefixes(["10.77.0.1/24", "fd00::1/64"]), routes: wanted)
    let addresses = try prefixes(next)
    #expect(make(kernel, routes: wanted).apply(addresses: addresses, routes: wanted) == [])
    #expect(kernel.addresses() == Set(addresses))
    #expect(kernel.existing(wanted) == Set(wanted))
  }

  /// Addresses that an administrator added stay, although the kernel deletes them with their
  /// primary address.
  @Test func addressesOfOthersStay() throws {
    let others = try prefixes(["10.77.0.50/24", "10.1.0.1/24"])
    let kernel = Kernel(try prefixes(["10.77.0.1/24"]))
    let network = make(kernel, routes: [])
    kernel.state.withLockedValue { $0.addresses += others }
    let next = try prefixes(["10.77.0.9/24"])
    #expect(network.apply(addresses: next, routes: []) == [])
    #expect(kernel.addresses() == Set(next + others))
  }

  /// All routes need one run of `ip`, however many they are.
  @Test func routesAreChangedAtOnce() throws {
    let many = try (0..<200).map { DeviceRoute(prefix: try #require(IPPrefix("10.40.\($0).0/24"))) }
    let kernel = Kernel([])
    let network = make(kernel, routes: [])
    #expect(network.apply(routes: many) == [] && kernel.existing(many).count == many.count)
    #expect(network.apply(routes: []) == [] && kernel.existing(many).isEmpty)
    #expect(kernel.state.withLockedValue(\.batches) == 2)
  }

  /// A change that failed is named, and tried again with the next change, which may be the same.
  @Test func whatFailedIsTriedAgain() throws {
    let route = try routes(["10.40.0.0/16"])
    let old = DeviceRoute(prefix: try prefixes(["10.50.0.0/16"])[0])
    let kernel = Kernel(try prefixes(["10.77.0.1/24"]), routes: [old])
    let network = make(kernel, routes: [old])
    let addresses = try prefixes(["10.78.0.1/24"])
    kernel.state.withLockedValue { state in
      for line in [
        "route add 10.40.0.0/16 dev t", "route del 10.50.0.0/16 dev t", "address add 10.78.0.1/24 dev t",
        "address del 10.77.0.1/24 dev t",
      ] { state.refused[line] = "RTNETLINK answers: Operation not permitted" }
    }
    for _ in 0..<2 {
      let failures = network.apply(addresses: addresses, routes: route)
      #expect(failures.count == 4 && failures.allSatisfy { $0.hasSuffix("Operation not permitted") }, "\(failures)")
    }
    kernel.state.withLockedValue { $0.refused = [:] }
    #expect(network.apply(addresses: addresses, routes: route) == [])
    #expect(kernel.addresses() == Set(addresses) && kernel.existing(route + [old]) == Set(route))
  }

  /// Addresses and routes that another program removed are found, and put back by the next change.
  @Test func whatOthersRemovedIsFound() throws {
    let routes = try self.routes(["10.1.0.0/16", "10.2.0.0/16"])
    let kernel = Kernel(try prefixes(["10.0.0.1/24"]), routes: routes)
    let network = make(kernel, routes: routes)
    #expect(try network.removed() == [])
    #expect(kernel.run(["route del 10.2.0.0/16 dev t"]).isEmpty)
    #expect(try network.removed() == ["route 10.2.0.0/16"])
    // With the address all routes go.
    #expect(kernel.run(["address del 10.0.0.1/24 dev t"]).isEmpty)
    #expect(
      try network.removed() == [
        "address 10.0.0.1/24", "route 0.0.0.0/0 table 20763", "route 10.1.0.0/16", "route 10.2.0.0/16",
      ])
    #expect(network.apply(addresses: try prefixes(["10.0.0.1/24"]), routes: routes) == [])
    #expect(try network.removed() == [])
    // What a change removes is not missed.
    #expect(network.apply(routes: []) == [])
    #expect(try network.removed() == [])
  }

  @Test func failedLinesAreNamed() {
    let lines = ["route add 10.0.0.0/8 dev t", "route add 10.1.0.0/16 dev t", "route del 10.2.0.0/16 dev t"]
    let errors = """
      RTNETLINK answers: File exists
      Command failed -:1
      Error: ipv4: FIB table does not exist.
      RTNETLINK answers: No such process
      Command failed -:3
      """
    let failures = SystemCommand.lineFailures(errors, in: lines)
    #expect(failures.map(\.line) == [lines[0], lines[2]])
    #expect(failures[0].description == "ip route add 10.0.0.0/8 dev t: RTNETLINK answers: File exists")
    #expect(!failures[0].saysGone && failures[1].saysGone)
  }

  /// A program that says nothing is named, with the signal that ended it.
  @Test func programsThatEndAreNamed() {
    func reason(_ code: Int32, errors: String = "") -> String {
      SystemCommand.Result(program: "/sbin/ip", exitCode: code, output: "", errors: errors).reason
    }
    #expect(reason(137) == "/sbin/ip was ended by signal 9" && reason(2) == "/sbin/ip ended with exit code 2")
    #expect(reason(2, errors: "File exists\n") == "File exists")
  }

  /// The kernel's own routes are none of the tunnel's.
  @Test func routesAreReadFromTheSystem() throws {
    let v4 = """
      default scope link
      10.40.0.0/16 scope link
      10.77.0.0/24 proto kernel scope link src 10.77.0.1
      10.99.0.2 scope link
      unreachable 10.9.0.0/16
      """
    #expect(IPRoute2.prefixes(v4, family: .v4) == (try prefixes(["0.0.0.0/0", "10.40.0.0/16", "10.99.0.2/32"])))
    #expect(IPRoute2.prefixes("default metric 1024 pref medium\n", family: .v6) == (try prefixes(["::/0"])))
  }
}
