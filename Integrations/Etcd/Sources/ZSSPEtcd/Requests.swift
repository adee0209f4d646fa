// SPDX-License-Identifier: Apache-2.0

import Foundation

// Constructors for requests. Keys and values are small, and copied.

extension Etcdserverpb_RangeRequest {
  /// Makes a request for one key.
  init(key: [UInt8]) {
    self.init()
    self.key = Data(key)
  }

  /// Makes a request for all keys with a prefix, or those of them after `last`.
  init(prefix: [UInt8], after last: [UInt8]? = nil, limit: Int = 0, keysOnly: Bool = false) {
    self.init()
    // The next possible key is the last one followed by a zero.
    key = Data(last.map { $0 + [0] } ?? prefix)
    rangeEnd = Data(prefix.rangeEnd)
    self.limit = Int64(limit)
    self.keysOnly = keysOnly
  }
}

extension [UInt8] {
  /// The first key after all keys with this prefix, which must not consist of bytes 255 only.
  var rangeEnd: [UInt8] {
    var end = self
    while end.last == 255 { end.removeLast() }
    if let last = end.popLast() { end.append(last + 1) }
    return end
  }
}

extension Etcdserverpb_RequestOp {
  static func put(_ key: [UInt8], _ value: [UInt8]) -> Self {
    var put = Etcdserverpb_PutRequest()
    put.key = Data(key)
    put.value = Data(value)
    var operation = Self()
    operation.requestPut = put
    return operation
  }

  static func delete(_ key: [UInt8], allWithPrefix: Bool = false) -> Self {
    var delete = Etcdserverpb_DeleteRangeRequest()
    delete.key = Data(key)
    if allWithPrefix { delete.rangeEnd = Data(key.rangeEnd) }
    var operation = Self()
    operation.requestDeleteRange = delete
    return operation
  }

  static func get(_ key: [UInt8]) -> Self {
    var operation = Self()
    operation.requestRange = Etcdserverpb_RangeRequest(key: key)
    return operation
  }

  static func range(_ request: Etcdserverpb_RangeRequest) -> Self {
    var operation = Self()
    operation.requestRange = request
    return operation
  }
}

extension Etcdserverpb_Compare {
  /// Compares the revision of the key's last write; 0 if the key is missing.
  static func modified(_ key: [UInt8], at revision: Int64) -> Self {
    var compare = Self()
    compare.target = .mod
    compare.result = .equal
    compare.key = Data(key)
    compare.modRevision = revision
    return compare
  }

  /// Compares the revision at which the key was created, if it has not been deleted since.
  static func created(_ key: [UInt8], at revision: Int64) -> Self {
    var compare = Self()
    compare.target = .create
    compare.result = .equal
    compare.key = Data(key)
    compare.createRevision = revision
    return compare
  }
}

extension Etcdserverpb_TxnResponse {
  /// Returns the key, or the first key, that an operation read; nil if none.
  func read(_ index: Int) -> Etcdserverpb_KeyValue? {
    responses.indices.contains(index) ? responses[index].responseRange.kvs.first : nil
  }
}
