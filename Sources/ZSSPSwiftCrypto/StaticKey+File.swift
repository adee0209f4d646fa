// SPDX-License-Identifier: Apache-2.0

import ZSSPFiles

/// The reason why a file with keys cannot be used. The description names the file and says what to
/// do.
public struct KeyFileError: Error, Equatable, CustomStringConvertible {
  /// The path of the file.
  public let path: String
  /// The problem, and what to do.
  public let reason: String

  /// The file and the problem.
  public var description: String { "\(path): \(reason)" }

  init(_ path: String, reason: String) {
    self.path = path
    self.reason = reason
  }

  init(_ failure: FileFailure) { self.init(failure.path, reason: failure.reason) }
}

extension StaticKey {
  /// The most bytes that are read from a file with a key.
  private static let sizeLimit = 64 << 10

  /// Reads a private key from a PEM file, as `zssp keygen` writes it. Blocks the thread during the
  /// disk access.
  ///
  /// The file must belong to root or to the user of this process, and nobody else may read or write
  /// it (mode 0600).
  ///
  /// - Throws: ``KeyFileError`` if the file cannot be read, is not private, or does not contain a
  ///   key.
  public init(contentsOf path: String) throws(KeyFileError) {
    let contents: PrivateFile.Contents
    do { contents = try PrivateFile.read(path, limit: Self.sizeLimit) } catch { throw KeyFileError(error) }
    try self.init(contents, path: path)
  }

  /// Reads the key of a file. If the file is missing, creates a key and the file (mode 0600), which
  /// is durable when this returns. Blocks the thread during the disk access.
  ///
  /// If several processes do this at once, all get the key of the first one.
  ///
  /// - Throws: ``KeyFileError`` as ``init(contentsOf:)`` does, or if the file cannot be written.
  public static func loadOrCreate(at path: String) throws(KeyFileError) -> StaticKey {
    do {
      return try StaticKey(PrivateFile.read(path, limit: sizeLimit), path: path)
    } catch let failure as FileFailure {
      guard failure.kind == .missing else { throw KeyFileError(failure) }
    } catch let error as KeyFileError {
      throw error
    } catch {
      throw KeyFileError(path, reason: "\(error)")
    }
    let key = StaticKey()
    do {
      try PrivateFile.write(key.pem, to: path, replaces: false)
      return key
    } catch {
      guard error.kind == .exists else { throw KeyFileError(error) }
      return try StaticKey(contentsOf: path)
    }
  }

  private init(_ contents: PrivateFile.Contents, path: String) throws(KeyFileError) {
    if contents.warning != nil {
      throw KeyFileError(path, reason: "others can read the private key in it; 'chmod 600 \(path)', and make a new key")
    }
    guard let text = String(validating: contents.bytes, as: UTF8.self) else {
      throw KeyFileError(path, reason: "cannot be read as text")
    }
    do { try self.init(pem: text) } catch { throw KeyFileError(path, reason: "\(error)") }
  }
}
