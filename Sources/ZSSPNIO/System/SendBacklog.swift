// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket

  /// Copies of what the system has not taken yet.
  struct SendBacklog {
    private struct Kept {
      var piece: czssp_outgoing
      let bytes: [UInt8]
    }

    private var kept: [Kept] = []
    private(set) var byteCount = 0
    /// What the pieces of the last ``take(into:)`` point to.
    private var taken: [Kept] = []

    var isEmpty: Bool { kept.isEmpty }
    /// How many datagrams there are.
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

    /// Moves everything to `pieces`. They point to bytes that are there until ``forgetTaken()``.
    mutating func take(into pieces: inout [czssp_outgoing]) {
      taken = kept
      kept = []
      byteCount = 0
      for var next in taken {
        // The bytes of an array stay where they are as long as nobody writes to it, and nobody does.
        next.piece.bytes = next.bytes.withUnsafeBytes { $0.baseAddress }
        pieces.append(next.piece)
      }
    }

    /// Lets go of what was taken.
    mutating func forgetTaken() { taken = [] }
  }
#endif
