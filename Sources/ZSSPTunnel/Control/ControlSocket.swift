// SPDX-License-Identifier: Apache-2.0
import CZSSPTunnel
import Foundation
import Synchronization

/// Lines of JSON on a local socket.
enum ControlSocket {
  /// The maximum size of a response in bytes. Reports of many peers are long.
  static let responseLimit = 64 << 20
  /// The maximum size of a request on the control socket in bytes: more than a command's longest
  /// argument (128 KiB) needs.
  static let requestLimit = 256 << 10
  /// The maximum size of a request on the status socket in bytes. It has no arguments.
  static let statusRequestLimit = 1 << 10
  /// The maximum duration of writing a response. A client that reads slowly must not keep it in
  /// memory for long.
  private static let writePatience = Duration.seconds(60)

  /// Connects to a socket. Returns a descriptor or a negative error number.
  static func connect(to path: String) -> CInt { czssp_control_connect(path) }

  /// Sends a value as a line.
  ///
  /// - Throws: ``TunnelError/refused(_:)``.
  static func write(_ value: some Encodable, to descriptor: CInt) throws(TunnelError) {
    do {
      let line = try JSONEncoder().encode(value) + Data([UInt8(ascii: "\n")])
      var rest = line[...]
      let begin = ContinuousClock.now
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
        guard count > 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        guard ContinuousClock.now - begin < writePatience else { throw POSIXError(.ETIMEDOUT) }
        rest = rest.dropFirst(count)
      }
    } catch {
      throw .refused("the control socket cannot be written to: \(error)")
    }
  }

  /// Reads a line and decodes it.
  ///
  /// - Parameters:
  ///   - type: The type of the value.
  ///   - descriptor: The socket.
  ///   - limit: The maximum size of the line in bytes.
  /// - Throws: ``TunnelError/refused(_:)``.
  static func read<Value: Decodable>(
    _ type: Value.Type, from descriptor: CInt, limit: Int = responseLimit
  ) throws(TunnelError) -> Value {
    var line: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: min(limit, 64 << 10))
    while line.last != UInt8(ascii: "\n") {
      let count = Foundation.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw .refused("nothing came on the control socket: \(String(cString: strerror(errno)))")
      }
      guard count > 0 else { throw .refused("the control socket was closed before there was an answer") }
      guard line.count + count <= limit else {
        throw .refused("a message on the control socket is longer than \(limit) bytes, the limit")
      }
      line += buffer[..<count]
    }
    do { return try JSONDecoder().decode(type, from: Data(line)) } catch {
      throw .refused("the control socket brought something else: \(error)")
    }
  }
}

/// The client of a running tunnel.
public enum ControlClient {
  /// Sends a request to a running tunnel, and waits for the response. Blocks the calling thread.
  ///
  /// - Parameters:
  ///   - request: The request.
  ///   - interface: The name of the tunnel's device.
  /// - Returns: The response, which may be a refusal.
  /// - Throws: ``TunnelError/notRunning(interface:reason:)`` or ``TunnelError/incomplete(_:)``.
  public static func ask(_ request: ControlRequest, of interface: String) throws(TunnelError) -> ControlResponse {
    let descriptor = connect(to: interface, forStatus: request.isForStatus)
    guard descriptor >= 0 else { throw .notRunning(interface: interface, reason: reason(-descriptor)) }
    defer { close(descriptor) }
    return try exchange(request, on: descriptor, with: interface)
  }

  /// Sends a request on a connected socket, and waits for the response.
  ///
  /// - Throws: ``TunnelError/incomplete(_:)``.
  static func exchange(
    _ request: ControlRequest, on descriptor: CInt, with interface: String
  ) throws(TunnelError) -> ControlResponse {
    do throws(TunnelError) { try ControlSocket.write(request, to: descriptor) } catch {
      throw .incomplete("\(interface): \(error)")
    }
    // A change may take long, and goes on without its client. The socket is closed with the tunnel.
    if !request.isForStatus { waitWithoutLimit(descriptor) }
    do throws(TunnelError) { return try ControlSocket.read(ControlResponse.self, from: descriptor) } catch {
      let doubt =
        request.isForStatus ? "" : "; the request may have been executed: 'zssp tunnel show', and the log, say so"
      throw .incomplete("\(interface): \(error)\(doubt)")
    }
  }

  private static func waitWithoutLimit(_ descriptor: CInt) {
    var none = timeval()
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &none, socklen_t(MemoryLayout<timeval>.size))
  }

  /// Connects to the control socket, or without permission, and if that is enough, to the status
  /// socket. Returns a descriptor or a negative error number.
  private static func connect(to interface: String, forStatus: Bool) -> CInt {
    let folder = RunFolder(interface: interface)
    let descriptor = ControlSocket.connect(to: folder.control)
    guard descriptor == -EACCES, forStatus else { return descriptor }
    let status = ControlSocket.connect(to: folder.status)
    return status == -ENOENT ? descriptor : status
  }

  private static func reason(_ error: CInt) -> String {
    let text = String(cString: strerror(error))
    return error == EACCES ? "\(text); ask as root, or as a member of the status-group" : text
  }

  /// The names of running tunnels that this user can query.
  public static var interfaces: [String] {
    // The folder does not exist where no tunnel ever ran. An unreadable one has no tunnels for this
    // user.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: RunFolder.root)) ?? []
    return names.filter(isRunning).sorted()
  }

  /// Returns true if a tunnel would respond. A socket that a killed process left does not count.
  public static func isRunning(_ interface: String) -> Bool {
    let descriptor = connect(to: interface, forStatus: true)
    guard descriptor >= 0 else { return false }
    close(descriptor)
    return true
  }
}

/// The tunnel's end of the control socket. One thread accepts clients, and each client has its own
/// thread, so that a silent one does not delay others.
final class ControlServer: Sendable {
  /// The maximum number of clients. For one more, the client that has been silent longest is
  /// disconnected.
  static let limit = 32

  private let descriptor: CInt
  private let requestLimit: Int
  private let answer: @Sendable (ControlRequest) async -> ControlResponse
  private let answered: @Sendable (ControlRequest) -> Void
  private let isStopped = Atomic(false)
  /// The clients that have not sent their request yet, oldest first, and the number of all clients.
  private let clients = Mutex<(silent: [CInt], count: Int)>(([], 0))

  /// Listens on a socket that only its owner, and possibly a group, can use.
  ///
  /// - Parameters:
  ///   - path: The path of the socket.
  ///   - group: The id of the group; nil for none.
  ///   - requestLimit: The maximum size of a request in bytes.
  ///   - answer: Makes the response. Called on any thread.
  ///   - answered: Called after the response was written.
  /// - Throws: ``TunnelError/setUp(step:reason:)``.
  init(
    path: String, group: UInt32?, requestLimit: Int = ControlSocket.requestLimit,
    _ answer: @escaping @Sendable (ControlRequest) async -> ControlResponse,
    answered: @escaping @Sendable (ControlRequest) -> Void
  ) throws(TunnelError) {
    descriptor = czssp_control_listen(path, group.map { Int64($0) } ?? -1)
    guard descriptor >= 0 else {
      throw .setUp(step: "cannot listen on \(path)", reason: String(cString: strerror(-descriptor)))
    }
    self.requestLimit = requestLimit
    self.answer = answer
    self.answered = answered
    let thread = Thread { [self] in serve() }
    thread.name = "zssp-control"
    thread.start()
  }

  // Closed only with the last reference, so that the descriptor's number is not reused before.
  deinit { close(descriptor) }

  /// Stops accepting clients.
  func stop() {
    isStopped.store(true, ordering: .relaxed)
    shutdown(descriptor, CInt(SHUT_RDWR))
  }

  private func serve() {
    while !isStopped.load(ordering: .relaxed) {
      let client = czssp_control_accept(descriptor)
      guard client >= 0 else {
        // Descriptors or memory are short for now.
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
          // Under the lock: another client may get the number as soon as it is closed.
          close(client)
        }
      }
      thread.name = "zssp-client"
      thread.start()
    }
  }

  /// Admits a client, and returns false if no place is free.
  private func begin(_ client: CInt) -> Bool {
    clients.withLock { clients in
      if clients.count >= Self.limit {
        guard let oldest = clients.silent.first else { return false }
        clients.silent.removeFirst()
        // This ends its thread.
        shutdown(oldest, CInt(SHUT_RDWR))
      }
      clients.silent.append(client)
      clients.count += 1
      return true
    }
  }

  private func serve(_ client: CInt) {
    do throws(TunnelError) {
      let request = try ControlSocket.read(ControlRequest.self, from: client, limit: requestLimit)
      clients.withLock { clients in clients.silent.removeAll { $0 == client } }
      // The request takes effect even if the client has left.
      defer { answered(request) }
      try ControlSocket.write(wait(for: request), to: client)
    } catch {
      // Reports the error, unless the client has left.
      try? ControlSocket.write(ControlResponse.refused("\(error)"), to: client)
    }
  }

  private func wait(for request: ControlRequest) -> ControlResponse {
    let done = DispatchSemaphore(value: 0)
    let response = ResponseBox()
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
