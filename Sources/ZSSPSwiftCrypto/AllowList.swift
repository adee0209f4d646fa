// SPDX-License-Identifier: Apache-2.0

public import ZSSP
import ZSSPFiles

/// The public keys of accepted peers.
///
/// The text has one key per line, in base64 or hexadecimal digits. A `#` begins a comment, and
/// empty lines are allowed:
///
///     # Sensors of the east wing
///     A6qHyiK+iwU3jrHHHvMgrXRuHTtii6ebmFn3QeCCVCo4VQLyXb9VKWw6VF44cnYKtw==   # boiler
public struct AllowList: Sendable, Hashable {
  /// The accepted keys.
  public var keys: Set<PublicKey>

  /// Creates a list of the given keys; empty by default.
  public init(_ keys: some Sequence<PublicKey> = []) { self.keys = Set(keys) }

  /// Reads the text of a list.
  ///
  /// - Throws: ``AllowListError`` for the first line that is not a key.
  public init(text: some StringProtocol) throws(AllowListError) {
    keys = []
    // Some editors begin a file with a mark of its encoding.
    let lines = text.drop { $0 == "\u{FEFF}" }.split(omittingEmptySubsequences: false) { $0.isNewline }
    for (index, line) in lines.enumerated() {
      let entry = line.prefix { $0 != "#" }.trimmed
      guard !entry.isEmpty else { continue }
      do { keys.insert(try PublicKey(text: String(entry))) } catch {
        throw AllowListError(line: index + 1, reason: error)
      }
    }
  }

  /// Reads a list from a file of at most 16 MiB. Blocks the thread during the disk access.
  ///
  /// The file must belong to root or to the user of this process, and nobody else may write to it.
  /// Others may read it, because public keys are not secret.
  ///
  /// - Throws: ``KeyFileError``, which names the file, and the line that is not a key.
  public init(contentsOf path: String) throws(KeyFileError) {
    let contents: PrivateFile.Contents
    do { contents = try PrivateFile.read(path, limit: 16 << 20) } catch { throw KeyFileError(error) }
    guard let text = String(validating: contents.bytes, as: UTF8.self) else {
      throw KeyFileError(path, reason: "cannot be read as text")
    }
    do { try self.init(text: text) } catch { throw KeyFileError(path, reason: "\(error)") }
  }

  /// Returns true if a peer is accepted.
  public func contains(_ peer: PublicKey) -> Bool { keys.contains(peer) }
}

/// The error of a line of an ``AllowList`` that is not a key.
public struct AllowListError: Error, Equatable, CustomStringConvertible {
  /// The line's number, from 1.
  public let line: Int
  /// The reason why the line is not a key.
  public let reason: KeyTextError

  /// The line's number, and what is wrong with it.
  public var description: String { "line \(line): \(reason)" }
}
