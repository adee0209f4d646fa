// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import ZSSP
import ZSSPFiles

/// The option that writes the keys of sessions to a file.
struct KeyLogOption: ParsableArguments {
  /// The environment variable that may name the file.
  static let variable = "ZSSP_KEY_LOG"

  @Option(
    help: ArgumentHelp(
      """
      Append the keys of all sessions to this file, for 'zssp decode --keys'. Whoever reads it can decrypt the \
      sessions. Needs a build with the trait KeyLog. Default: the file in ZSSP_KEY_LOG, or none.
      """, valueName: "file"))
  var keyLog: String?

  /// The file that the option or the environment names; nil if none does.
  var path: String? {
    if let keyLog { return keyLog }
    guard let path = ProcessInfo.processInfo.environment[Self.variable], !path.isEmpty else { return nil }
    return path
  }

  /// Makes an endpoint write its keys to the file, if there is one, and warns of it.
  ///
  /// - Throws: ``CommandFailure/usage(_:)`` without the trait, or if the file cannot be written.
  func apply(to configuration: inout EndpointConfiguration) throws(CommandFailure) {
    guard let path else { return }
    #if KeyLog
      let file = try KeyLogFile(path)
      Terminal.warning(
        "writing the keys of all sessions to \(path): whoever reads it can decrypt what they send and receive")
      configuration.keyLog = KeyLog { file.append($0) }
    #else
      throw .usage(
        "\(keyLog == nil ? Self.variable : "--key-log") \(path): this program was built without the trait KeyLog; "
          + "build it with: swift build -c release --traits default,KeyLog")
    #endif
  }
}

#if KeyLog
  import Synchronization

  /// A file to which the keys of sessions are appended.
  final class KeyLogFile: Sendable {
    private let path: String
    private let descriptor: CInt
    /// True if a write has failed, which is reported once.
    private let hasFailed = Mutex(false)

    /// Opens or creates a file that only its owner can access.
    ///
    /// - Throws: ``CommandFailure/usage(_:)``, also for a file of another user, or a folder in
    ///   which other users can replace it.
    init(_ path: String) throws(CommandFailure) {
      do throws(FileFailure) { try PrivateFile.checkFolder(of: path) } catch { throw .usage("--key-log: \(error)") }
      self.path = path
      descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0o600)
      guard descriptor >= 0 else { throw Self.failure(path, String(cString: strerror(errno))) }
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { throw Self.failure(path, String(cString: strerror(errno))) }
      guard status.st_mode & S_IFMT == S_IFREG else { throw Self.failure(path, "is not a regular file") }
      guard status.st_uid == geteuid() else { throw Self.failure(path, "belongs to another user") }
      guard fchmod(descriptor, 0o600) == 0 else { throw Self.failure(path, String(cString: strerror(errno))) }
    }

    deinit {
      if descriptor >= 0 { close(descriptor) }
    }

    private static func failure(_ path: String, _ reason: String) -> CommandFailure {
      .usage("--key-log \(path): cannot be written: \(reason)")
    }

    /// Appends a line, in one write, so that those of several processes do not mix.
    func append(_ line: String) {
      let bytes = Array((line + "\n").utf8)
      var count = -1
      while count < 0 {
        count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard count < 0, errno == EINTR else { break }
      }
      guard count != bytes.count else { return }
      let reason = count < 0 ? String(cString: strerror(errno)) : "no room"
      let isFirst = hasFailed.withLock { failed in
        defer { failed = true }
        return !failed
      }
      if isFirst { Terminal.error("--key-log \(path): keys are missing: \(reason)") }
    }
  }
#endif
