// SPDX-License-Identifier: Apache-2.0

// One import for an application. "One import" in Documentation/architecture.md says why a separate
// target re-exports these, and not ZSSPNIO.

@_exported public import struct Logging.Logger
@_exported public import struct NIOCore.ByteBuffer
@_exported public import enum NIOCore.SocketAddress
@_exported public import ZSSP
@_exported public import ZSSPNIO

#if SwiftCrypto
  @_exported public import ZSSPSwiftCrypto
#endif

#if SQLite
  @_exported public import ZSSPSQLite
#endif

#if ServiceLifecycle
  @_exported public import ServiceLifecycle
#endif
