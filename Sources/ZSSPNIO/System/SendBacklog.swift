// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket

  /// Copies of the datagrams that the system has not taken yet.
  struct SendBacklog {
    private struct Kept {
      var piece: czssp_outgoing
      let bytes: [UInt8]
    }

    private var kept: [Kept] = []
    private(set) var byteCount = 0
    /// The owners of the memory that the pieces of the last ``take(into:)`` point to.
    private var taken: [Kept] = []

    var isEmpty: Bool { kept.isEmpty }
    /// The number of datagrams.
    var datagramCount: Int { kept.reduce(0) { $0 + $1.piece.datagramCount } }

    /// The own addresses that pieces leave from.
    var locals: [UnsafePointer<czssp_local>] { kept.compactMap(\.piece.local) }

    /// Keeps a copy of a piece.
    mutating func append(_ piece: czssp_outgoing) {
      kept.append(
        Kept(
          piece: piece, bytes: Array(UnsafeRawBufferPointer(start: piece.bytes, count: Int(piece.length)))))
      byteCount += Int(piece.length)
    }

    /// Moves everything to `pieces`. They point to bytes that are valid until ``forgetTaken()``.
    mutating func take(into pieces: inout [czssp_outgoing]) {
      taken = kept
      kept = []
      byteCount = 0
      for var next in taken {
        // The bytes of an array do not move as long as nothing writes to it, and nothing does.
        next.piece.bytes = next.bytes.withUnsafeBytes { $0.baseAddress }
        pieces.append(next.piece)
      }
    }

    /// Releases the bytes of the last ``take(into:)``.
    mutating func forgetTaken() { taken = [] }
  }
#endif
