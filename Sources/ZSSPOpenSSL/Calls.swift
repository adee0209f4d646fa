// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL

  /// What libcrypto has to say about its last failure.
  enum ErrorQueue {
    /// The oldest error on this thread, which is usually the cause of the others. It takes all of them off the queue.
    static func reason() -> String {
      let code = zssp_ERR_get_error()
      while zssp_ERR_get_error() != 0 {}
      guard code != 0 else { return "libcrypto gives no reason" }
      var text = [CChar](repeating: 0, count: 256)
      zssp_ERR_error_string_n(code, &text, text.count)
      return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Runs `body` and leaves the thread's queue as it was: the application may have one of its own.
    static func hidden<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
      zssp_ERR_set_mark()
      defer { zssp_ERR_pop_to_mark() }
      return try body()
    }
  }

  /// Ends the process if `call` did not succeed.
  ///
  /// Only for calls that no input can make fail. When one does, memory is exhausted, the generator has no entropy, or the
  /// FIPS module found itself broken and must not be used any further: nothing that could be returned would be secure.
  @inline(__always)
  func require(_ result: Int32, _ call: StaticString) {
    if result <= 0 { giveUp(call) }
  }

  /// The object that a call made; ends the process if there is none, as ``require(_:_:)-(Int32,_)`` does.
  @inline(__always)
  func require<Object>(_ object: Object?, _ call: StaticString) -> Object {
    guard let object else { giveUp(call) }
    return object
  }

  @inline(never)
  private func giveUp(_ call: StaticString) -> Never {
    fatalError("\(call) failed, which no input can cause: \(ErrorQueue.reason())")
  }

  extension StaticString {
    /// The literal as C takes it, for as long as the process lives.
    var cString: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
  }

  extension MutableRawSpan {
    /// The bytes for a C function to write to.
    mutating func withBytes<Value>(_ body: (UnsafeMutablePointer<UInt8>?) -> Value) -> Value {
      withUnsafeMutableBytes { body($0.baseAddress?.assumingMemoryBound(to: UInt8.self)) }
    }
  }

  extension RawSpan {
    /// The bytes for a C function to read.
    func withBytes<Value>(_ body: (UnsafePointer<UInt8>?) -> Value) -> Value {
      withUnsafeBytes { body($0.baseAddress?.assumingMemoryBound(to: UInt8.self)) }
    }
  }
#endif
