// SPDX-License-Identifier: Apache-2.0

#if Tunnel
  import ZSSP

  extension PeerConfiguration {
    /// The maximum size of an identity in bytes (section 6).
    private static let identityLimit = 4096

    /// Reads the table of a peer. Returns nil if it has no valid key.
    ///
    /// - Parameters:
    ///   - flags: The flags of peers that set none.
    ///   - above: The keys of the enclosing table, of which none may stand here.
    init?(_ reader: inout TableReader, flags: SecurityFlags, above: [String]) {
      let name = reader.string("name")
      let key = Self.key(&reader)
      if let name, let mistake = Self.mistake(inName: name, of: key) { reader.fail("name", mistake) }
      let endpoints = Self.endpoints(&reader)
      let allowedIPs = reader.prefixes("allowed-ips", isExact: true)
      let identity = reader.string("identity") ?? ""
      if identity.utf8.count > Self.identityLimit {
        reader.fail("identity", "is longer than \(Self.identityLimit) bytes")
      }
      let keepalive = reader.integer("keepalive", in: 0...65_535) ?? 0
      let mtu = reader.integer("mtu", in: 576...65_000)
      let password = reader.path("one-time-password-file")
      let own = Self.flags(&reader, usual: flags)
      reader.finish(above: above)
      guard let key else { return nil }
      self.init(publicKey: key)
      self.name = name
      self.endpoints = endpoints
      self.allowedIPs = allowedIPs
      self.identity = identity
      self.keepalive = keepalive == 0 ? nil : .seconds(keepalive)
      self.mtu = mtu
      self.flags = own
      oneTimePasswordFile = password
    }

    private static func endpoints(_ reader: inout TableReader) -> [PeerEndpoint] {
      let one = reader.string("endpoint")
      let several = reader.strings("endpoints")
      if one != nil, several != nil { reader.fail("endpoints", "goes without endpoint; put all of them here") }
      let key = one == nil ? "endpoints" : "endpoint"
      var found: [PeerEndpoint] = []
      for text in one.map({ [$0] }) ?? several ?? [] {
        do throws(EndpointTextError) {
          let endpoint = try PeerEndpoint(text)
          if !found.contains(endpoint) { found.append(endpoint) }
        } catch {
          reader.fail(key, error)
        }
      }
      return found
    }

    private static func key(_ reader: inout TableReader) -> PublicKey? {
      guard let text = reader.string("public-key") else {
        reader.failAll("public-key is missing; 'zssp pubkey FILE' prints the peer's")
        return nil
      }
      do { return try PublicKey(text: text) } catch { reader.fail("public-key", "\(error)") }
      return nil
    }

    private static func flags(_ reader: inout TableReader, usual flags: SecurityFlags) -> SecurityFlags? {
      var own = flags
      var isOwn = false
      let switches: [(String, SecurityFlags)] = [
        ("pi2", .initiatorDisallowsDowngrade), ("pi3", .responderDisallowsDowngrade),
        ("pi4", .responderRejectsSilently),
      ]
      for (key, flag) in switches {
        guard let isOn = reader.bool(key) else { continue }
        isOwn = true
        if isOn { own.insert(flag) } else { own.remove(flag) }
      }
      return isOwn ? own : nil
    }
  }
#endif
