// SPDX-License-Identifier: Apache-2.0
#if CryptoMB && os(Linux) && arch(x86_64)
  import ZSSP

  /// Known answers for each lane, in hexadecimal digits.
  ///
  /// The private key of lane `i` is SHA-384 of "crypto_mb lane i". The answers come from OpenSSL
  /// and from a plain implementation of the formulas of SEC 1.
  struct LaneAnswer {
    let privateKey: String
    let publicKey: String
    /// The secret with the next lane's public key; the last lane is followed by the first.
    let secret: String

    /// The bytes of one of the numbers of all lanes, joined.
    static func joined(_ number: KeyPath<LaneAnswer, String>) -> [UInt8] {
      all.flatMap { SelfTest.bytes($0[keyPath: number]) }
    }

    /// One for each lane.
    static let all = [
      LaneAnswer(
        privateKey:
          "350c3665e2e6506dfa8c1f04b00f37a640b50ba0a5eb379f82b107705a579a1c5c553758adce0429156c6487c1356c25",
        publicKey:
          "02f7bb8a9c17d6398ca8e8bbfaaedb2c827310d9c8a6534501060ebc8167490cde7bf94c8da82adc409871bcfb5f274bd4",
        secret:
          "06d02ff08fb2463c2b4a36ba6bdeebe2b6a9bf97441ad166f815edabc2ea1d056c6ecc50d7a8f4ca6515d21c9e0a9909"),
      LaneAnswer(
        privateKey:
          "e6c6c778b18ebaed6a6a6c1825b56cc328ea1da51377ba1cef17799fe36626789a7df22a68c1a544c5f91802429a9932",
        publicKey:
          "03435ff1e5643ae788ff426cc0023148676c36484dccbd32ec71b509c3a301e2ea293f264a206a54f3dc2b3c65469242a1",
        secret:
          "57fdc9a01ef9a04c087205a2be0cfd3b67677d38fa43014f527e059be1c31bbe35392e1e94ea6451f6178d3362085abb"),
      LaneAnswer(
        privateKey:
          "2e868b6047a420ba53a9756db97e0ea36c4e030178a36b1ba170b509d96f660c10c3ee19e748ab0098764cc9eba59712",
        publicKey:
          "024de099430214a6697eff4a4aed8a1ff3bce3721a62d637546a82edd9f6ede0a5db5c962f638c35c9176f3e2c6deccb2f",
        secret:
          "2c9df6a6f4064ac9d959cde0ace9e9fdfd41be13eeffd93eee38d0bdcabf221c0d37b9d15247ebd8fe00e6b00ea9e455"),
      LaneAnswer(
        privateKey:
          "52b34c4144e342d5da3dce671aff207776c00da6dac3a923177ec23670cd231f294ee40d771d14b14bdc2f61c61e8e54",
        publicKey:
          "03cf9a37c8e82189627879877d67dde55a0c817ebd74c119bd26b528fe18629ad15d24db9acbe1cbf170387b2f135e6315",
        secret:
          "30d6d7259f23d346f28d3693266c76a1cdcce15c4a932ca3bd8bff232a35132e6d71166b87c56244ec77bfc6b6706018"),
      LaneAnswer(
        privateKey:
          "e391b8fb0b27762523e861e4e233cbc1949e8590d9661ed1c1a0c51c231eec56817e7f9907b7f63387fd73c80a41b032",
        publicKey:
          "02087334f696452d179d6436519b94ae434a7d7b7c9dc2ea253a108fa8b57a72d687a6a6cb40d684de80c79f400a96351d",
        secret:
          "6fae5bf77219ee03c517ee8f937aa08651be756d25d5ba19a2262c45992db88f2c4d0b904f6a64b5c7fa058802e08829"),
      LaneAnswer(
        privateKey:
          "ee4b9814dc8ac537cf471b8b71116481b38cb3ab523acd750f351d94cca3258f648912542d1c42a1d1cc1985193478f8",
        publicKey:
          "02c14d7cf803efab769e7baf5f164a4b851e88df05405fab592251529841502e7371c182d48ac233233c689a42a2cdffc2",
        secret:
          "4b63f8bfe78a1ed5342ad6d15d2d991ac5460dc1718a65293fe04dc5a8c344361e56eaf1d4dc486e3e3a9479c12ab424"),
      LaneAnswer(
        privateKey:
          "d2cffe80f68a146e591a8bd7b3e585aeaa62c7d03aee090c948a5e4c4e508a00532e4a4998d915875f406efaab89765b",
        publicKey:
          "02b1090bc19f040d5357328429a8373ded86b9bb223eaf960fd236b036a51440045f7716308cb9aeaa816873ccb3f8fe9f",
        secret:
          "1ce8e72570306ed5b0b501b54c8534aab90bcec424ab83f9f4121764f7453d8130706e0ff7c45b9485fc309372aa7146"),
      LaneAnswer(
        privateKey:
          "fae9d2c2158daf22fa3e5c74f984e1ab273c75b05c7ce61892d151ada7e8de0962bbed37f2a7329d250f74ccffcfd3ab",
        publicKey:
          "03f1ad2de7e0ebb2d6dda0ef8a1390596a14d268d57414b393d6c6cf59ea5f0ef88328a2116aa1bffc365dac0f43e042b1",
        secret:
          "f1bce9ddb66add21461205df6afc6c66813918bcd0a1ebebe6b9ccc4943c0792519f64278f16bff2c9d2ff5d958d7f21"),
    ]
  }
#endif
