// SPDX-License-Identifier: Apache-2.0

public import ZSSP
import ZSSPFiles

/// The public keys of peers that are welcome.
///
/// As text: one key a line, in base64 or hexadecimal digits. Behind a `#` stands a comment, and a line may be empty:
///
///     # Sensors of the east wing
///     A6qHyiK+iwU3jrHHHvMgrXRuHTtii6ebmFn3QeCCVCo4VQLyXb9VKWw6VF44cnYKtw==   # boiler
public struct AllowList: Sendable, Hashable {
  /// The keys.
  public var keys: Set<PublicKey>

  /// A list of the given keys; of none if nothing is said.
  public init(_ keys: some Sequence<PublicKey> = []) { self.keys = Set(keys) }

  /// Reads the text of a list.
  ///
  /// - Throws: ``AllowListError`` for the first line that is no key.
  public init(text: some StringProtocol) throws(AllowListError) {
    keys = []
    let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
    for (index, line) in lines.enumerated() {
      let entry = line.prefix { $0 != "#" }.trimmed
      guard !entry.isEmpty else { continue }
      do { keys.insert(try PublicKey(text: String(entry))) } catch {
        throw AllowListError(line: index + 1, reason: error)
      }
    }
  }

  /// Reads a list from a file of at most 16 MiB. Blocks for as long as the disk takes.
  ///
  /// The file must belong to root or to the user of this process, and nobody else may write to it. Others may read it:
  /// public keys are no secrets.
  ///
  /// - Throws: ``KeyFileError``, which names the file, and the line that is no key.
  public init(contentsOf path: String) throws(KeyFileError) {
    let contents: PrivateFile.Contents
    do { contents = try PrivateFile.read(path, limit: 16 << 20) } catch { throw KeyFileError(error) }
    guard let text = String(validating: contents.bytes, as: UTF8.self) else {
      throw KeyFileError(path, "cannot be read as text")
    }
    do { try self.init(text: text) } catch { throw KeyFileError(path, "\(error)") }
  }

  /// Whether a peer is welcome.
  public func contains(_ peer: PublicKey) -> Bool { keys.contains(peer) }
}

/// A line of an ``AllowList`` that is no key.
public struct AllowListError: Error, Equatable, CustomStringConvertible {
  /// The line's number, from 1.
  public let line: Int
  /// What is wrong with it.
  public let reason: KeyTextError

  /// The line's number and what is wrong with it.
  public var description: String { "line \(line): \(reason)" }
}
