// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import Foundation
import Synchronization

/// Lines of JSON over a local socket.
enum ControlSocket {
  /// The longest line in bytes. A report of many peers is long.
  private static let lineLimit = 64 << 20

  /// Sends a value as a line.
  static func write(_ value: some Encodable, to descriptor: CInt) throws(TunnelError) {
    do {
      let line = try JSONEncoder().encode(value) + Data([UInt8(ascii: "\n")])
      var rest = line[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
        guard count > 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        rest = rest.dropFirst(count)
      }
    } catch {
      throw .refused("the control socket cannot be written to: \(error)")
    }
  }

  /// Reads a line.
  static func read<Value: Decodable>(_ type: Value.Type, from descriptor: CInt) throws(TunnelError) -> Value {
    var line: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while line.last != UInt8(ascii: "\n") {
      let count = Foundation.read(descriptor, &buffer, buffer.count)
      guard count > 0, line.count + count <= lineLimit else {
        throw .refused("the control socket was closed before there was an answer")
      }
      line += buffer[..<count]
    }
    do { return try JSONDecoder().decode(type, from: Data(line)) } catch {
      throw .refused("the control socket brought something else: \(error)")
    }
  }
}

/// The side that asks.
public enum ControlClient {
  /// Asks a running tunnel, and waits for the answer.
  ///
  /// - Parameters:
  ///   - request: what is asked.
  ///   - interface: the name of its device.
  /// - Throws: ``TunnelError/notRunning(interface:reason:)`` or ``TunnelError/refused(_:)``.
  public static func ask(_ request: ControlRequest, of interface: String) throws(TunnelError) -> ControlResponse {
    let descriptor = connect(to: interface, forStatus: request == .show)
    guard descriptor >= 0 else { throw .notRunning(interface: interface, reason: reason(-descriptor)) }
    defer { close(descriptor) }
    try ControlSocket.write(request, to: descriptor)
    return try ControlSocket.read(ControlResponse.self, from: descriptor)
  }

  /// Connects to the socket for everything, or, if that is not allowed and enough, to the one for the status.
  private static func connect(to interface: String, forStatus: Bool) -> CInt {
    let folder = RunFolder(interface: interface)
    let descriptor = czssp_control_connect(folder.control)
    guard descriptor == -EACCES, forStatus else { return descriptor }
    let status = czssp_control_connect(folder.status)
    return status == -ENOENT ? descriptor : status
  }

  private static func reason(_ error: CInt) -> String {
    let text = String(cString: strerror(error))
    return error == EACCES ? "\(text); ask as root, or as a member of the status-group" : text
  }

  /// The names of tunnels that can be asked. A socket that a killed process left is none.
  public static var interfaces: [String] {
    // There is no folder where no tunnel ever ran, and in one that we may not read there is none for us.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: RunFolder.root)) ?? []
    return names.filter(isRunning).sorted()
  }

  /// Whether a request would be answered.
  public static func isRunning(_ interface: String) -> Bool {
    let descriptor = connect(to: interface, forStatus: true)
    guard descriptor >= 0 else { return false }
    close(descriptor)
    return true
  }
}

/// The side of the tunnel: a thread that accepts clients, and one for each client, so that one that says nothing delays no other.
final class ControlServer: Sendable {
  /// How many clients are served at once. When there is one more, the one that has been silent longest has to go.
  static let limit = 32

  private let descriptor: CInt
  private let answer: @Sendable (ControlRequest) async -> ControlResponse
  private let answered: @Sendable (ControlRequest) -> Void
  private let isStopped = Atomic(false)
  /// Clients whose requests have not come yet, the oldest first; and how many there are of all kinds.
  private let clients = Mutex<(silent: [CInt], count: Int)>(([], 0))

  /// Listens on a socket that only its owner, and perhaps a group, can use.
  ///
  /// - Parameters:
  ///   - path: where the socket is made.
  ///   - group: the number of the group; nil for none.
  ///   - answer: finds the answer.
  ///   - answered: is called when it was written.
  init(
    path: String, group: UInt32?, _ answer: @escaping @Sendable (ControlRequest) async -> ControlResponse,
    answered: @escaping @Sendable (ControlRequest) -> Void
  ) throws(TunnelError) {
    descriptor = czssp_control_listen(path, group.map { Int64($0) } ?? -1)
    guard descriptor >= 0 else {
      throw .setUp(step: "cannot listen on \(path)", reason: String(cString: strerror(-descriptor)))
    }
    self.answer = answer
    self.answered = answered
    let thread = Thread { [self] in serve() }
    thread.name = "zssp-control"
    thread.start()
  }

  // While anybody has this, the number is nobody else's.
  deinit { close(descriptor) }

  /// Ends it. No client is accepted any more.
  func stop() {
    isStopped.store(true, ordering: .relaxed)
    shutdown(descriptor, CInt(SHUT_RDWR))
  }

  private func serve() {
    while !isStopped.load(ordering: .relaxed) {
      let client = czssp_control_accept(descriptor)
      guard client >= 0 else {
        // There are too many descriptors or too little memory, for now.
        Thread.sleep(forTimeInterval: 0.1)
        continue
      }
      guard begin(client) else {
        close(client)
        continue
      }
      let thread = Thread { [self] in
        serve(client)
        clients.withLock { clients in
          clients.silent.removeAll { $0 == client }
          clients.count -= 1
          // Under the lock: the number may be another client's as soon as it is closed.
          close(client)
        }
      }
      thread.name = "zssp-client"
      thread.start()
    }
  }

  /// Makes room for a client. Returns whether there is any.
  private func begin(_ client: CInt) -> Bool {
    clients.withLock { clients in
      if clients.count >= Self.limit {
        guard let oldest = clients.silent.first else { return false }
        clients.silent.removeFirst()
        // Its thread ends with that, a moment later.
        shutdown(oldest, CInt(SHUT_RDWR))
      }
      clients.silent.append(client)
      clients.count += 1
      return true
    }
  }

  private func serve(_ client: CInt) {
    do throws(TunnelError) {
      let request = try ControlSocket.read(ControlRequest.self, from: client)
      clients.withLock { clients in clients.silent.removeAll { $0 == client } }
      // The client may have left; what was asked for holds.
      defer { answered(request) }
      try ControlSocket.write(wait(for: request), to: client)
    } catch {
      // The client has left, or asked for something that there is not, and learns it if still there. If not, nobody can be told.
      try? ControlSocket.write(ControlResponse.refused("\(error)"), to: client)
    }
  }

  private func wait(for request: ControlRequest) -> ControlResponse {
    let (done, response) = (DispatchSemaphore(value: 0), ResponseBox())
    Task {
      response.value = await answer(request)
      done.signal()
    }
    done.wait()
    return response.value ?? .refused("there is no answer")
  }

  /// Written before the semaphore is signalled, and read after it was waited for.
  private final class ResponseBox: @unchecked Sendable {
    var value: ControlResponse?
  }
}
