// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

/// Tests in network namespaces that they make themselves, one after another. Where that is not
/// possible they are skipped, with the reason.
@Suite(
  .tags(.root, .slow), .serialized, .ownThreads, .enabled(if: Lab.obstacle == nil, "\(Lab.obstacle ?? "")"),
  .timeLimit(.minutes(20)))
enum NamespaceTests {}
