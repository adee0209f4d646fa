// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import NIOPosix
package import ZSSP

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file of JSON lines that describe the handshakes and control packets of an endpoint;
/// Documentation/traces.md has the format.
///
/// Event loops only add lines to a buffer. A thread of the blocking pool writes them, so a slow
/// disk delays no packet. When it is too slow, or the file has reached its limit, lines are left
/// out and counted.
package final class TraceFile: TraceSink {
  private struct State {
    var buffer: [UInt8] = []
    var isWriting = false
    /// Lines that did not fit into the buffer.
    var omitted = 0
    /// The number of bytes that may still be written.
    var room: Int
    var failure: CInt = 0
    var start: Instant?
  }

  private let descriptor: CInt
  private let path: String
  private let isSynchronous: Bool
  private let onFailure: @Sendable (String) -> Void
  private let state: NIOLockedValueBox<State>

  /// The size of what is written at once by callers that may wait.
  private static let chunk = 1 << 16
  /// The largest number of bytes that wait to be written.
  private static let bufferLimit = 4 << 20
  /// The default of the largest size of a file.
  package static let sizeLimit = 256 << 20

  /// Creates the file, or empties it, and writes the first line.
  ///
  /// - Parameters:
  ///   - path: The path. The file gets mode 0600, because it contains addresses. A symbolic link is
  ///     refused, and so are a file of another user, and one to which a trace is being written.
  ///   - title: The title of the trace, for example the command.
  ///   - source: The kind of source: `endpoint` or `simulation`.
  ///   - lanes: The names of the endpoints.
  ///   - sizeLimit: The size in bytes at which the trace ends.
  ///   - isSynchronous: True to write in the calls of ``write(_:)``, without leaving out lines, for
  ///     callers that may wait.
  ///   - onFailure: Called once if the file cannot be written, on any thread.
  /// - Throws: ``TraceFailure``.
  package init(
    path: String, title: String, source: String, lanes: [String] = [], sizeLimit: Int = TraceFile.sizeLimit,
    isSynchronous: Bool = false, onFailure: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(TraceFailure) {
    self.path = path
    self.onFailure = onFailure
    self.isSynchronous = isSynchronous
    descriptor = try Self.privateFile(path)
    state = NIOLockedValueBox(State(room: sizeLimit))
    var line = TraceLine()
    line.add("zssp-trace", TraceLine.version)
    line.add("source", source)
    line.add("title", title)
    if !lanes.isEmpty { line.add("lanes", lanes) }
    write(line.text)
  }

  deinit { close(descriptor) }

  /// Opens a file, which is empty and private afterwards, unless another trace is being written to
  /// it. Pipes and devices stay as they are.
  private static func privateFile(_ path: String) throws(TraceFailure) -> CInt {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    func failure(_ reason: String = String(cString: strerror(errno))) -> TraceFailure {
      TraceFailure(path: path, reason: reason)
    }
    guard descriptor >= 0 else { throw failure() }
    do throws(TraceFailure) {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw failure() }
      guard status.st_mode & S_IFMT == S_IFREG else { return descriptor }
      guard status.st_uid == geteuid() else { throw failure("belongs to another user") }
      // The lock ends with the descriptor. File systems without locks give other errors.
      if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
        throw failure("another trace is being written to it; name another file")
      }
      // A file that existed would keep its mode.
      guard fchmod(descriptor, 0o600) == 0, ftruncate(descriptor, 0) == 0 else { throw failure() }
    } catch {
      close(descriptor)
      throw error
    }
    return descriptor
  }

  /// Adds a line, without a line feed.
  package func write(_ line: String) { add { lines in lines.append(line) } }

  /// Adds the records of a shard.
  package func write(_ records: [TraceRecord], of shard: Int) {
    guard !records.isEmpty else { return }
    let start = state.withLockedValue { state -> Instant in
      let start = state.start ?? records[0].time
      state.start = start
      return start
    }
    add { lines in
      for record in records { lines.append(record.line("\(shard)", at: start.duration(to: record.time))) }
    }
  }

  private func add(_ make: (inout [String]) -> Void) {
    var lines: [String] = []
    make(&lines)
    let begins = state.withLockedValue { state in
      guard state.failure == 0 else { return false }
      for line in lines { Self.append(line, to: &state) }
      guard !state.isWriting, state.buffer.count >= (isSynchronous ? Self.chunk : 1) else { return false }
      state.isWriting = true
      return true
    }
    guard begins else { return }
    if isSynchronous { drain() } else { NIOThreadPool.singleton.submit { _ in self.drain() } }
  }

  private static func append(_ line: String, to state: inout State) {
    let size = line.utf8.count + 1
    guard state.room >= size else {
      if state.room > 0 {
        state.buffer += Array("{\"ev\":\"end\",\"reason\":\"the file has reached its limit\"}\n".utf8)
      }
      state.room = 0
      return
    }
    guard state.buffer.count + size <= bufferLimit else {
      state.omitted += 1
      return
    }
    if state.omitted > 0 {
      state.buffer += Array("{\"ev\":\"omitted\",\"count\":\(state.omitted)}\n".utf8)
      state.omitted = 0
    }
    state.room -= size
    state.buffer += Array(line.utf8)
    state.buffer.append(UInt8(ascii: "\n"))
  }

  /// Writes what waits, until nothing does. Blocks.
  private func drain() {
    while true {
      let bytes = state.withLockedValue { state -> [UInt8] in
        defer { state.buffer = [] }
        state.isWriting = !state.buffer.isEmpty
        return state.buffer
      }
      guard !bytes.isEmpty else { return }
      if let error = writeAll(bytes) {
        state.withLockedValue { $0.failure = error }
        onFailure("\(path): \(String(cString: strerror(error))); the trace ends here")
      }
    }
  }

  private func writeAll(_ bytes: [UInt8]) -> CInt? {
    var start = 0
    while start < bytes.count {
      let count = bytes.withUnsafeBytes { bytes in
        let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
        #if canImport(Glibc)
          return Glibc.write(descriptor, rest.baseAddress, rest.count)
        #elseif canImport(Musl)
          return Musl.write(descriptor, rest.baseAddress, rest.count)
        #else
          return Darwin.write(descriptor, rest.baseAddress, rest.count)
        #endif
      }
      if count < 0 {
        if errno == EINTR { continue }
        return errno
      }
      start += count
    }
    return nil
  }

  /// Waits until everything is written.
  package func flush() async {
    if isSynchronous { return drain() }
    while state.withLockedValue({ $0.isWriting }) {
      // The pool is at work on it.
      do { try await Task.sleep(for: .milliseconds(2)) } catch { await Task.yield() }
    }
  }
}

/// The reason why a trace cannot be written.
package struct TraceFailure: Error, Sendable, Hashable, CustomStringConvertible {
  package let path: String
  package let reason: String

  /// The path, and the system's words.
  package var description: String { "\(path): cannot be written: \(reason)" }
}
