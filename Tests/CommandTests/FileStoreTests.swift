// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSP
import ZSSPStoreTesting

@testable import ZSSPCommand

@Suite("The contract of ratchet stores, in a file", .timeLimit(.minutes(2)))
struct FileStoreTests {
  private struct Medium: StoreMedium {
    let tool: Tool

    init() throws { tool = try Tool() }

    private var path: String { tool.path("store") }

    func open() throws -> any RatchetStore { try FileRatchetStore(path: path) }
    func close(_ store: any RatchetStore) async throws { await (store as? FileRatchetStore)?.finish() }
    func contents(of store: any RatchetStore) throws -> [UInt8]? { Array(try Data(contentsOf: URL(filePath: path))) }
  }

  @Test(arguments: StoreConformance.cases)
  func conformance(_ rule: StoreConformance) async throws { try await rule.run(on: Medium()) }
}
