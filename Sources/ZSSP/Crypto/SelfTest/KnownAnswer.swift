// SPDX-License-Identifier: Apache-2.0

/// Known answers of NIST and of RFC 4231, in hexadecimal digits.
enum KnownAnswer {
  /// SHA-512 of "abc" (FIPS 180's example).
  static let sha512 =
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
    + "454d4423643ce80e2a9ac94fa54ca49f"
  /// Test case 2 of RFC 4231.
  static let hmac =
    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd"
    + "caeab1a34d4a6b4b636e070a38bce737"
  /// CAVP, KBKDF in counter mode, HMAC_SHA512, BEFORE_FIXED, 8_BITS, COUNT 30.
  static let kbkdfKey =
    "baed493b0294c9a5dbbe4547a30f0602c6124cedb549b45cff0ee4f3689a7ae5b695e5ecdfebf611bba1174e5e3a8824"
    + "383e555daef396dc58c2842f77d5a674"
  static let kbkdfFixedInput =
    "1371182cb0725416b1eccf4ac9fb20cf4e0f77e7d006a531e0ab2b2b46e0859473dad9dcae65ba5eb902228787dae19e"
    + "735d002c919a4b74012f8904"
  static let kbkdf = "09bb55c9f3cee604f4bc5544a802be8b02b34b99f7928ceee696221975f947905f1b5979d9d4c2a1"
  /// CAVP, gcmEncryptExtIV256, PTlen 408, AADlen 160, Count 0.
  static let gcmKey = "24501ad384e473963d476edcfe08205237acfd49b5b8f33857f8114e863fec7f"
  static let gcmNonce = "9ff18563b978ec281b3f2794"
  static let gcmAdditional = "adb5ec720ccf9898500028bf34afccbcaca126ef"
  static let gcmPlaintext =
    "27f348f9cdc0c5bd5e66b1ccb63ad920ff2219d14e8d631b3872265cf117ee86757accb158bd9abb3868fdc0d0b074b5"
    + "f01b2c"
  static let gcmSealed =
    "eb7cb754c824e8d96f7c6d9b76c7d26fb874ffbf1d65c6f64a698d839b0b06145dae82057ad55994cf59ad7f67c0fa5e"
    + "85fab8bc95c532fecc594c36d1550286a7a3f0"
  /// Appendix C.3 of FIPS 197.
  static let blockKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
  static let blockPlaintext = "00112233445566778899aabbccddeeff"
  static let blockCiphertext = "8ea2b7ca516745bfeafc49904b496089"
  /// CAVP, ECC static unified, P-384, initiator, COUNT 0; the secret is Z.
  static let agreementPrivate =
    "f865418473e5bf7d2e1bbcd9bd5a9270c003a9dd35e778133ca59fcab4bb64fe24d6800e7047bdd033abc8bfa8db35b5"
  static let agreementOwnPublic =
    "0332b72ab9b558249dcbc6cbade234f58e4f7aa5d3f6420ea99a5f997e8c2a91fb7fd83779d0d2169428683771c745fd"
    + "1a"
  static let agreementPublic =
    "02d1bf2ac21637d66d6398aac01dcd56ac6f065fb45d1f6f16747bab9e9b01b4630b59b20927aea147355bf41838acb4"
    + "82"
  static let agreementSecret =
    "a781430e6078a179df3f9ee27cd8fdc6188f161b6c4ccc4053ef6c6ca6fc222946883a53c06db08f0a020023ced055aa"
  /// The prime of the field, which is not a valid coordinate.
  static let fieldPrime =
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff"
  /// The order of the group, which is not a valid private key.
  static let groupOrder =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
  /// CAVP, SHAKE256ShortMsg, Len 512.
  static let shakeMessage =
    "47c7ee751edd20c2cb566df1403463a3a8c0b21f401698f468e39ce0fa6e7ff1dad570eace997fe8905d544522eb21bd"
    + "6278d5cfde299366e9d662b9ef0d2670"
  static let shake256 = "701bfdc149b2c347220b8ee2b64ff6b3fac3cb0d7c0286f3f476428973e5a40b"
  /// ACVP, ML-KEM-keyGen-FIPS203, tcId 51: `d || z`, and SHA-512 of the encapsulation key.
  static let mlkemSeed =
    "f3a706faf090c03db506863ab0b20bd8a1627956318e88c67eb875e8e726600935d2bc43dd1cc879f765bf2a0c5e2978"
    + "89dde910e57e2bb0eae417b90ab7a275"
  static let mlkemKeyHash =
    "32532dbd4370f8681c7850cd2de26d80fcce54306c2d61761701117cd9adfa6cd5458e2b2f7ee4984e4feb4307ed572b"
    + "a601e6ae7e92c0211a69e4560ae957ae"
  /// The secrets of that key for a ciphertext of the bytes 0, 1, … 255, 0, …: `SHAKE256(z || c)`
  /// by algorithm 18 of FIPS 203, and `SHAKE256(that || SHA3-256(c))` by section 1.
  static let mlkemRejected = "cdd6844c7330b4c29ad64a6a6e29b2e75ff4b8e5cffcc53a8f3765d8e25f3a27"
  static let kyberRejected = "c7bd38bda1e408de4b603f2d9f8fd45ca21506103effdf4bf68de5a3d4831fa7"
}
