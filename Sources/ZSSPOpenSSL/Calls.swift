// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL

  /// The description of libcrypto's last failure.
  enum ErrorQueue {
    /// Returns the oldest error on this thread, which is usually the cause of the others. Removes
    /// all of them from the queue.
    static func reason() -> String {
      let code = zssp_ERR_get_error()
      while zssp_ERR_get_error() != 0 {}
      guard code != 0 else { return "libcrypto gives no reason" }
      var text = [CChar](repeating: 0, count: 256)
      zssp_ERR_error_string_n(code, &text, text.count)
      return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Runs `body` and leaves the thread's error queue as it was: the application may use it.
    static func hidden<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
      zssp_ERR_set_mark()
      defer { zssp_ERR_pop_to_mark() }
      return try body()
    }
  }

  /// Ends the process if `call` did not succeed.
  ///
  /// It is only for calls that no input can make fail. If one fails, memory is exhausted, the
  /// generator has no entropy, or the FIPS module found itself broken and must not be used any
  /// more: no returned value would be secure.
  @inline(__always)
  func require(_ result: Int32, _ call: StaticString) {
    if result <= 0 { trap(call) }
  }

  /// Returns the object that a call made. Ends the process if there is none, as
  /// ``require(_:_:)-(Int32,_)`` does.
  @inline(__always)
  func require<Object>(_ object: Object?, _ call: StaticString) -> Object {
    guard let object else { trap(call) }
    return object
  }

  @inline(never)
  private func trap(_ call: StaticString) -> Never {
    fatalError("\(call) failed, which no input can cause: \(ErrorQueue.reason())")
  }

  extension StaticString {
    /// The literal as a C string, valid as long as the process lives.
    var cString: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
  }

  extension MutableRawSpan {
    /// Calls `body` with the bytes, for a C function to write to.
    mutating func withBytes<Value>(_ body: (UnsafeMutablePointer<UInt8>?) -> Value) -> Value {
      withUnsafeMutableBytes { body($0.baseAddress?.assumingMemoryBound(to: UInt8.self)) }
    }
  }

  extension RawSpan {
    /// Calls `body` with the bytes, for a C function to read.
    func withBytes<Value>(_ body: (UnsafePointer<UInt8>?) -> Value) -> Value {
      withUnsafeBytes { body($0.baseAddress?.assumingMemoryBound(to: UInt8.self)) }
    }
  }
#endif
