// SPDX-License-Identifier: Apache-2.0
import Testing

/// All tests that need etcd, one after another: they wait for processes, on the threads that tests
/// share, and several clusters at once would keep each other from answering in time.
@Suite("Over a real etcd", .serialized, .enabled(if: Etcd.isTested, Etcd.missing))
enum OverEtcd {}
