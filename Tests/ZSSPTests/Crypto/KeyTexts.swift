// SPDX-License-Identifier: Apache-2.0

/// Keys that OpenSSL 3 wrote, made for these tests and used nowhere.
enum KeyTexts {
  /// `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384`
  static let pkcs8 = """
    -----BEGIN PRIVATE KEY-----
    MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDB2C8n8fmoAAbA8ioTu
    SwnnyUTAhT1JXabxsZkRCWiBBdufmQHTc8/qN1HRENAkQUehZANiAASZyt+Ejzn+
    nlTRvPOLle7XLGbZ2e3ueUTQYqq1pmkUvosUXAcZ+7/VnovyMzCmT5kMLgBqp3J0
    vHZf8PPgII1Hct35RTGaYmLM/hGcNjtansUQMpK4ppZJt2n+BytHoA0=
    -----END PRIVATE KEY-----
    """

  /// That key in another form: `openssl ec -in`
  static let sec1 = """
    -----BEGIN EC PRIVATE KEY-----
    MIGkAgEBBDB2C8n8fmoAAbA8ioTuSwnnyUTAhT1JXabxsZkRCWiBBdufmQHTc8/q
    N1HRENAkQUegBwYFK4EEACKhZANiAASZyt+Ejzn+nlTRvPOLle7XLGbZ2e3ueUTQ
    Yqq1pmkUvosUXAcZ+7/VnovyMzCmT5kMLgBqp3J0vHZf8PPgII1Hct35RTGaYmLM
    /hGcNjtansUQMpK4ppZJt2n+BytHoA0=
    -----END EC PRIVATE KEY-----
    """

  /// The public part of the two: `openssl ec -in -pubout -conv_form compressed -outform DER | tail
  /// -c 49 | base64`
  static let publicKey = "A5nK34SPOf6eVNG884uV7tcsZtnZ7e55RNBiqrWmaRS+ixRcBxn7v9Wei/IzMKZPmQ=="

  /// Another key, with its parameters in front: `openssl ecparam -name secp384r1 -genkey`
  static let withParameters = """
    -----BEGIN EC PARAMETERS-----
    BgUrgQQAIg==
    -----END EC PARAMETERS-----
    -----BEGIN EC PRIVATE KEY-----
    MIGkAgEBBDB1ETMaHk9htBdk2A1t+GFrDueBjmfN7BfwegGmjg4OEoD43MABVcs5
    tPcjAOKCuImgBwYFK4EEACKhZANiAAQMlCDvunkLbN8GFu23epiUjw/iL9dHRQWK
    b5iVzXdPTYnY4/ac2DxGNq9tYdHSyg41rQton32K0ge39pVCE43ZymJkgHnCFOMD
    m9geTCklyXhE6vhERvhJe+zCumIAb80=
    -----END EC PRIVATE KEY-----
    """

  /// The public part of that.
  static let publicKeyWithParameters = "AwyUIO+6eQts3wYW7bd6mJSPD+Iv10dFBYpvmJXNd09Nidjj9pzYPEY2r21h0dLKDg=="

  /// The first key, encrypted: `openssl pkcs8 -topk8`
  static let encrypted = """
    -----BEGIN ENCRYPTED PRIVATE KEY-----
    MIIBHDBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIB/aXMsloZyICAggA
    MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBB6ZF8eD3eGnIRrnEnXGy77BIHA
    shlLZ3JApk1mt+vK1ytZ4135qZ8J8URYKEM5z9kqVl4T6cmxtrU0bK4ji7EthRV5
    +yiWD+2rBPsZgbPTMIXN3xiAoudpl3OzvwXcaPhfJ0ENFQcXM5+7/+OY+KO1JDvw
    JHdvMeuVBm6KPnYE5lSVbqXjrwYRMckkGzKjX3EODuQNAxP1L5qUiXhQOGNAc9gt
    64k6z0/f05WrFWGGIeiORlkWybLlMK6BiPXoQHxOeJLPbPe4d1ajEmWTtWbctN7d
    -----END ENCRYPTED PRIVATE KEY-----
    """

  /// The first key, encrypted the old way: `openssl ec -aes128`
  static let encryptedSEC1 = """
    -----BEGIN EC PRIVATE KEY-----
    Proc-Type: 4,ENCRYPTED
    DEK-Info: AES-128-CBC,DB3877498E2C21C37F04A9EA1B70A1AB

    gNdZ0vm9PpXCHMqsbQNZzfjRYl+Y90m8ikj1JKSusSTpr75WKrMDfcwk9UjL9PD/
    od4TU4dGdnn12TLdxDllSXwtnILFFhygzA5vbbxfodf1rzx/5XzMfoWA7v/00jl4
    dCQ26hgXzayN0c4+W5W1v6mgwHPVNAyqf4KeuH8eCJ7l1tAXb49GZw9W1eX2yI/L
    DDzUawKD/2H01hnFGdxumeDN71sNE94N4Y5RRb7yQcA=
    -----END EC PRIVATE KEY-----
    """

  /// The public part of the first key: `openssl ec -pubout`
  static let publicPEM = """
    -----BEGIN PUBLIC KEY-----
    MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEmcrfhI85/p5U0bzzi5Xu1yxm2dnt7nlE
    0GKqtaZpFL6LFFwHGfu/1Z6L8jMwpk+ZDC4AaqdydLx2X/Dz4CCNR3Ld+UUxmmJi
    zP4RnDY7Wp7FEDKSuKaWSbdp/gcrR6AN
    -----END PUBLIC KEY-----
    """

  /// A key of P-256.
  static let p256 = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgg1NQjjP6r+Bqe7RE
    fWpOIsRidt821FGq/OHgAvMs7OyhRANCAAROuUot7b2nVjfVxPBQehPXo3D9qvDV
    F3KlMurAl1uf8GJogepSDKW5ASwgLf00wa0S2vbIoTCnqx7ezFHYmkbD
    -----END PRIVATE KEY-----
    """

  /// A key of brainpoolP384r1, which has 48 bytes too.
  static let brainpool = """
    -----BEGIN PRIVATE KEY-----
    MIG6AgEAMBQGByqGSM49AgEGCSskAwMCCAEBCwSBnjCBmwIBAQQwdQis8YGLj/xe
    mmEGLDgkrEz9Pz+hMwP9yqKDy50iD8hBiHENUW2wbu2CJMigKejuoWQDYgAEcHEj
    R+mu76YND74Iy0+LwsR0QBn55xjbtUzzQdvV6kjhsBnVUZAIu9tmmi/T9UTsd4IQ
    TgS8QX8ZEk3MpVAqpZE+0l+DNnTayd1IYwuNxFcN+26NEopZpbJYjonMDzyj
    -----END PRIVATE KEY-----
    """
}
