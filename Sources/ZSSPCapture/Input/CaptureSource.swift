// SPDX-License-Identifier: Apache-2.0

/// The bytes of a capture, read from front to back.
package protocol CaptureSource: AnyObject {
  /// Reads bytes into `buffer`, which is not empty.
  ///
  /// - Returns: the number of bytes; 0 at the end.
  /// - Throws: ``CaptureError/unreadable(_:)``.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(CaptureError) -> Int
}

/// A capture in memory.
package final class MemorySource: CaptureSource {
  private let content: [UInt8]
  private let pieceSize: Int
  private var position = 0

  /// Creates a source that gives at most `pieceSize` bytes at a time.
  package init(_ content: [UInt8], pieceSize: Int = .max) {
    self.content = content
    self.pieceSize = max(1, pieceSize)
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(content.count - position, buffer.count, pieceSize)
    guard count > 0 else { return 0 }
    content.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count]))
    }
    position += count
    return count
  }
}

/// The reason why a capture cannot be read, or not to its end.
package enum CaptureError: Error, Equatable, CustomStringConvertible {
  /// The system refused to read the file.
  case unreadable(String)
  /// The system refused to write the output.
  case unwritable(String)
  /// The file does not begin as a capture does.
  case unknownFormat
  /// The file ends within a record.
  case truncated(offset: UInt64)
  /// A length is impossible.
  case badLength(UInt64, offset: UInt64)
  /// A block of pcapng is not what its format asks for.
  case badBlock(String, offset: UInt64)

  package var description: String {
    switch self {
    case .unreadable(let reason), .unwritable(let reason): reason
    case .unknownFormat: "neither pcap nor pcapng; write the capture with tcpdump -w or dumpcap -w"
    case .truncated(let offset): "the capture ends within the record at byte \(offset)"
    case .badLength(let length, let offset):
      "the record at byte \(offset) has the impossible length \(length); the capture is damaged"
    case .badBlock(let problem, let offset): "the block at byte \(offset) is damaged: \(problem)"
    }
  }
}
