// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSP
import ZSSPNIO
import ZSSPSwiftCrypto

/// The security options of `listen` and `connect`.
struct SecurityOptions: ParsableArguments {
  /// A named set of flags.
  enum Mode: String, ExpressibleByArgument, CaseIterable {
    case opportunistic, persistent
  }

  /// A flag that overrides the mode.
  enum Switch: String, ExpressibleByArgument, CaseIterable {
    case on, off
  }

  /// The policy for Hellos.
  enum Challenge: String, ExpressibleByArgument, CaseIterable {
    case off, auto, always

    var policy: HelloPolicy {
      switch self {
      case .off: .allow
      case .auto: .automatic()
      case .always: .challenge
      }
    }
  }

  @Option(
    help: "Set --pi1 to --pi4: opportunistic (all off) reports a lost ratchet, persistent (all on) refuses it.")
  var mode = Mode.opportunistic

  @Option(help: ArgumentHelp("Do not answer Hellos without a known ratchet. Default: as --mode.", valueName: "on|off"))
  var pi1: Switch?

  @Option(
    help: ArgumentHelp("As initiator, refuse to continue without the ratchet. Default: as --mode.", valueName: "on|off")
  )
  var pi2: Switch?

  @Option(
    help: ArgumentHelp(
      "As responder, refuse a known peer without its ratchet. Default: as --mode.", valueName: "on|off"))
  var pi3: Switch?

  @Option(help: ArgumentHelp("As responder, refuse without an answer. Default: as --mode.", valueName: "on|off"))
  var pi4: Switch?

  @Option(
    help: ArgumentHelp(
      "Read the one-time password for the first contact with --peer from this file; see 'zssp otp'.", valueName: "file")
  )
  var otpFile: String?

  @Option(
    help: ArgumentHelp(
      "Keep ratchets in sqlite:PATH, file:PATH, or a path alone. Default: memory, which is lost on exit.",
      valueName: "store"))
  var store: String?

  @OptionGroup var storeKey: StoreKeyOption

  @Option(help: "Demand a proof of work from Hellos: off, auto (above a budget) or always.")
  var challenge = Challenge.auto

  @Option(
    parsing: .unconditional, help: ArgumentHelp("Replace keys at this age: 90s, 30m, 1h.", valueName: "duration"),
    transform: SecurityOptions.duration)
  var rekeyAfter: Duration?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "End a session whose peer does not answer a re-key for this long: 90s, 30m, 1h.", valueName: "duration"),
    transform: SecurityOptions.duration)
  var rekeyTimeout: Duration?

  func validate() throws {
    if otpFile != nil, pi2 == .off {
      throw ValidationError("--pi2 off defeats --otp-file: the initiator must require the password")
    }
    if challenge == .always, flags.contains(.helloRequiresRatchet) {
      throw ValidationError("--challenge always breaks the silence of --pi1 on: use auto or off")
    }
  }

  /// The flags of the mode, with overrides.
  var flags: SecurityFlags {
    var flags = mode == .persistent ? SecurityFlags.persistent : .opportunistic
    let overrides: [(Switch?, SecurityFlags)] = [
      (pi1, .helloRequiresRatchet), (pi2, .initiatorDisallowsDowngrade), (pi3, .responderDisallowsDowngrade),
      (pi4, .responderRejectsSilently),
    ]
    for case (.some(let value), let flag) in overrides {
      if value == .on { flags.insert(flag) } else { flags.remove(flag) }
    }
    return flags
  }

  func apply(to settings: inout Settings) {
    if let rekeyTimeout { settings.rekeyTimeout = rekeyTimeout }
    guard let rekeyAfter else { return }
    settings.rekeyAfter = rekeyAfter
    // The default ratio of jitter to age.
    settings.rekeyJitter = rekeyAfter / 6
  }

  /// A store, and the flags that match its content.
  struct Ratchets {
    let store: any KeptRatchets
    let flags: SecurityFlags
  }

  /// Opens the store, and stores the state derived from the one-time password if the peer has none.
  ///
  /// - Throws: ``CommandFailure``.
  func makeRatchets(peers: [PublicKey]) async throws(CommandFailure) -> Ratchets {
    // This precedes the creation of a store.
    let password = if let otpFile { try Self.password(in: otpFile, peers: peers) } else { nil as Password? }
    let location = if let store { try StoreLocation(store) } else { StoreLocation.memory }
    if location == .memory {
      if mode == .persistent {
        Terminal.note("no --store to keep ratchets: when this ends, peers in persistent mode cannot come back")
      } else if otpFile != nil {
        Terminal.note(
          "no --store to keep ratchets: when this ends, the one-time password is used up and nothing is left")
      }
    }
    // The key in the environment may be meant for another run.
    let isKeyMeant = location != .memory || storeKey.storeKeyFile != nil
    let ratchets = try await location.open(key: isKeyMeant ? try storeKey.key() : nil)
    var flags = flags
    // Until the first contact the initiator must require the password (section 9).
    do {
      // [RAT-11]
      if let password, try await enrol(password, in: ratchets) { flags.insert(.initiatorDisallowsDowngrade) }
    } catch {
      await ratchets.finish()
      throw error
    }
    return Ratchets(store: ratchets, flags: flags)
  }

  /// A one-time password, and the peer that shares it.
  private struct Password {
    let file: String
    let peer: PublicKey
    let password: OneTimePassword
  }

  private static func password(in file: String, peers: [PublicKey]) throws(CommandFailure) -> Password {
    guard let peer = peers.first, peers.count == 1 else {
      throw .usage("--otp-file \(file): give exactly one --peer, who shares the password")
    }
    return Password(file: file, peer: peer, password: try OneTimePassword.contents(of: file))
  }

  /// Stores the state of a one-time password, unless the store has another ratchet for the peer.
  /// Returns true if that state is stored now.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  private func enrol(_ password: Password, in ratchets: any RatchetStore) async throws(CommandFailure) -> Bool {
    do {
      switch try await ratchets.enrol(password.peer, with: password.password) {
      case .stored: return true
      case .alreadyKnown:
        Terminal.note("--otp-file \(password.file): not used, there is a ratchet for this peer")
        return false
      }
    } catch {
      throw .usage("--store \(store ?? "memory"): the one-time password could not be stored")
    }
  }

  /// Parses 90s, 30m, 1h, or a number of seconds.
  ///
  /// - Throws: `ValidationError`.
  static func duration(_ text: String) throws -> Duration {
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
    let unit = text.last.flatMap { units[$0] }
    let number = unit == nil ? Substring(text) : text.dropLast()
    guard let value = Double(number) else {
      throw ValidationError("'\(text)' is not a duration like 90s, 30m or 1h")
    }
    let seconds = value * (unit ?? 1)
    guard seconds >= 0.001, seconds <= 1e9 else {
      throw ValidationError("'\(text)' is not a duration of 0.001 to 1000000000 seconds")
    }
    return .seconds(seconds)
  }
}
