// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import Foundation
  import ZSSP
  import ZSSPBenchmark
  import ZSSPProviders
  import ZSSPSwiftCrypto
  import ZSSPNIO
  import ZSSPTunnel

  /// A tunnel whose packets are not protected, for `Scripts/bench-tunnel --null`.
  ///
  ///     ZSSPTunnelPath null|cipher KEY FILE
  ///
  /// KEY is a file of `zssp keygen`, FILE a configuration file of a tunnel. The tunnel stays in the
  /// foreground. Only a benchmark in network namespaces of its own may use it.
  @main
  struct TunnelPath {
    static func main() async throws {
      let arguments = Array(CommandLine.arguments.dropFirst())
      guard arguments.count == 3, let rest = UnprotectedPackets.Rest(rawValue: arguments[0]) else {
        FileHandle.standardError.write(Data("usage: ZSSPTunnelPath null|cipher KEY FILE\n".utf8))
        exit(2)
      }
      let file = arguments[2]
      let configuration = try TunnelConfiguration(toml: String(contentsOfFile: file, encoding: .utf8), file: file)
      let provider = UnprotectedPackets(base: try ProviderChoice.fastest.makeProvider(), rest: rest)
      let endpoint = EndpointConfiguration(
        staticKey: try StaticKey(contentsOf: arguments[1]).agreementKey(for: provider), provider: provider)
      let tunnel = try await Tunnel.start(configuration, endpoint: endpoint, store: VolatileRatchetStore())
      try await tunnel.run()
    }
  }
#else
  @main
  struct TunnelPath {
    static func main() { fatalError("tunnels need Linux and the trait Tunnel") }
  }
#endif
