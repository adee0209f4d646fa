// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPCommand
import ZSSPEtcd
import ZSSPProviders

/// `zssp-etcd`: the tool `zssp` with stores in etcd, `etcd://…`.
@main
enum Main {
  static func main() {
    let etcd = StoreKind(scheme: "etcd") { location, key, creates throws(CommandFailure) in
      do throws(EtcdStoreError) {
        var options = try EtcdStoreOptions(location: location)
        options.key = key
        options.onFailure = { CommandLineTool.tell("--store \($0)") }
        let store = try await EtcdRatchetStore.open(options, provider: .fastest, creates: creates)
        return KeptEtcd(store: store)
      } catch { throw CommandFailure(error, "--store ") }
    }
    CommandLineTool.run(stores: [etcd])
  }
}

/// The store as the tool uses it.
private struct KeptEtcd: KeptRatchets {
  let store: EtcdRatchetStore

  func answer(_ request: StoreRequest) async -> StoreAnswer { await store.answer(request) }

  func everything() async throws(CommandFailure) -> [PublicKey: RatchetRow] {
    do { return try await store.rows() } catch { throw CommandFailure(error) }
  }

  func put(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(CommandFailure) {
    do { try await store.store(rows, replaces: replaces) } catch { throw CommandFailure(error) }
  }

  func problems() async throws(CommandFailure) -> [String] {
    do { return try await store.check() } catch { throw CommandFailure(error) }
  }

  func finish() async {
    do throws(EtcdStoreError) { try await store.close() } catch { CommandLineTool.tell("\(error)") }
  }
}

extension CommandFailure {
  /// Maps an error to an exit code. A temporary failure of etcd is no mistake in the arguments.
  fileprivate init(_ error: EtcdStoreError, _ place: String = "") {
    self =
      switch error {
      case .unreachable, .refused, .incomplete, .replaced, .closed: .failed("\(place)\(error)")
      case .badLocation, .badFile, .missing, .notOurs, .newer, .damaged, .keySize, .keyNeeded, .keyNotNeeded, .wrongKey,
        .conflict:
        .usage("\(place)\(error)")
      }
  }
}
