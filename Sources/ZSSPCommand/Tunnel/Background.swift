// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import Foundation
  import ZSSPFiles
  import ZSSPTunnel

  /// Runs a tunnel that outlives the command.
  enum Background {
    /// Starts the tunnel in another process, and returns when it is up. Prints that process's
    /// output until then.
    ///
    /// The other process reports over a pipe, its descriptor ``Readiness/descriptor``. Its output
    /// goes to a file in memory, not to this command's output, which a hook's background process
    /// would otherwise keep open.
    ///
    /// - Parameters:
    ///   - file: The configuration file.
    ///   - trace: The path of a trace; nil for none.
    ///   - keyLog: The path of a key log; nil for none.
    ///   - logging: The options of the log.
    static func start(
      _ file: TunnelFile, trace: String?, keyLog: String?, logging: LogOptions
    ) throws(CommandFailure) {
      var ends: [CInt] = [-1, -1]
      guard pipe(&ends) == 0 else { throw .failed("no pipe: \(String(cString: strerror(errno)))") }
      defer { close(ends[0]) }
      _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
      let (words, process): (MemoryFile, ChildProcess)
      do {
        words = try MemoryFile()
        let options =
          (trace.map { ["--trace=\($0)"] } ?? []) + (keyLog.map { ["--key-log=\($0)"] } ?? []) + logging.arguments
        process = try ChildProcess(
          "/proc/self/exe",
          arguments: ["zssp", "tunnel", "up", "--foreground", "--background"] + options + ["--", file.path],
          descriptors: [-1, words.descriptor, words.descriptor, ends[1]])
      } catch {
        close(ends[1])
        throw .failed("cannot start the process in the background: \(error)")
      }
      // The pipe ends with the other process, or with its report.
      close(ends[1])
      let isUp = Readiness.wait(ends[0])
      let text = words.text.trimmingCharacters(in: .newlines)
      if isUp { return Terminal.note(text) }
      let code: Int32
      do { code = try process.wait() } catch { throw .failed("\(text)\nthe tunnel did not start: \(error)") }
      Terminal.error(text.isEmpty ? "the tunnel did not start, and did not say why" : text, prefix: "")
      Terminal.exit(code == 0 ? 1 : code)
    }
  }

  /// The background process's report that its tunnel is up.
  struct Readiness {
    /// The descriptor on which the process reports.
    static let descriptor: CInt = 3

    /// Adopts the descriptor. Hooks do not inherit it.
    init() { _ = fcntl(Self.descriptor, F_SETFD, FD_CLOEXEC) }

    /// Reports, and detaches from the terminal, whose signals are for the command.
    func report() {
      setsid()
      // The command may have been interrupted. The tunnel is up nevertheless.
      _ = write(Self.descriptor, "1", 1)
      close(Self.descriptor)
    }

    /// Waits for a report. Returns false if the process ended without one.
    static func wait(_ descriptor: CInt) -> Bool {
      var byte: UInt8 = 0
      while true {
        let count = read(descriptor, &byte, 1)
        if count < 0, errno == EINTR { continue }
        return count == 1
      }
    }
  }

  extension TunnelFile {
    /// Refuses files that can be read only once, because the background process reads them again.
    ///
    /// - Throws: ``CommandFailure/usage(_:)``.
    func checkReadableTwice() throws(CommandFailure) {
      guard PrivateFile.start(of: path, count: 1) != nil else {
        throw .usage("\(path): can be read once only; use --foreground, or a file")
      }
      let others =
        [("private-key-file", program.privateKeyFile), ("store-key-file", program.storeKeyFile ?? "")]
        + tunnel.peers.map { ("one-time-password-file", $0.oneTimePasswordFile ?? "") }
      // The process that reads a file reports if it is unreadable.
      for (key, path) in others where PrivateFile.isPipe(path) {
        throw .usage("\(key) \(path): can be read once only, not again in the background; use --foreground, or a file")
      }
    }
  }
#endif
