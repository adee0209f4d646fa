// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// The parameters of a simulation. The seed decides everything else.
///
/// A run alternates between turbulence, in which everything may fail, and calm, in which nothing
/// fails and everything that was lost must recover.
public struct SimulationPlan: Sendable, Hashable {
  /// The flags of the peers (section 10).
  public enum Mode: String, Sendable, Hashable, CaseIterable {
    /// All peers have π1 to π4, and one-time passwords are stored beforehand.
    case persistent
    /// No peer has a flag.
    case opportunistic
    /// The seed decides for each peer. Pairs with a persistent member have one-time passwords.
    case mixed
  }

  /// The flags of the peers.
  public var mode = Mode.mixed
  /// The number of peers. Up to 5 are all connected with all, more each with its four neighbours on
  /// a ring.
  public var peers = 4
  /// The number of endpoints of the first peer, with one static key and one store. Packets without
  /// a session of one of them reach any of them, as behind a load balancer whose choice varies.
  public var responders = 1
  /// The number of shards of the other peers' endpoints, and of the first peer's if it has one
  /// endpoint: 1, 2, 4, … 256. Shards of an endpoint share its key, its store and the knowledge of
  /// their sessions.
  public var shards = 1
  /// The virtual time of the run.
  public var duration = Duration.seconds(3 * 3600)
  /// The duration of each turbulence.
  public var turbulence = Duration.seconds(1800)
  /// The duration of each calm. Longer than an hour, it includes re-keys.
  public var calm = Duration.seconds(4500)
  /// The mean time between the actions of an application.
  public var applicationInterval = Duration.seconds(8)
  /// The settings of all endpoints.
  public var settings = Settings()
  /// The policy for Hellos.
  public var helloPolicy = HelloPolicy.automatic()
  /// The faults of the network.
  public var network = NetworkPlan()
  /// The faults of peers, stores and applications.
  public var faults = FaultPlan()
  /// The total number of attacks per virtual second: datagrams that are repeated, changed or made
  /// up.
  public var attacksPerSecond = 0.5
  /// The adversary with a memory and a plan.
  public var adversary = AdversaryPlan()

  /// Promises that are not checked, to look behind a known fault.
  public var unchecked: Set<Violation.Invariant> = []

  /// Makes the default plan: four peers of both modes, three hours, a bad network, and all faults.
  public init() {}
}

/// The behaviour of the network during turbulence. Rates are probabilities per datagram.
public struct NetworkPlan: Sendable, Hashable {
  /// The probability of a loss.
  public var loss = 0.05
  /// The probability of a second delivery.
  public var duplication = 0.03
  /// The probability of a delay of up to seconds, so that later datagrams overtake.
  public var reordering = 0.05
  /// The probability of a change of its bytes.
  public var corruption = 0.005
  /// The usual delay.
  public var delay = Duration.milliseconds(2)...Duration.milliseconds(60)
  /// The delay of reordered and repeated datagrams.
  public var lateness = Duration.milliseconds(50)...Duration.seconds(4)

  /// Makes the default network.
  public init() {}
}

/// The faults during turbulence, and their rates. Values without a unit are probabilities.
public struct FaultPlan: Sendable, Hashable {
  /// Partitions per hour, one-way or both ways, of one pair or around one peer.
  public var partitionsPerHour = 6.0
  /// The duration of a partition.
  public var partition = Duration.seconds(1)...Duration.seconds(120)
  /// Crashes per hour of each peer, which lose its memory and keep its store.
  public var crashesPerHour = 2.0
  /// The time for which a crashed peer is down.
  public var downtime = Duration.milliseconds(10)...Duration.seconds(60)
  /// Changes of address per hour of each peer, as by a NAT that rebinds.
  public var rebindingsPerHour = 2.0
  /// Leaps forward of each peer's clock, per hour.
  public var clockLeapsPerHour = 0.5
  /// The length of a leap.
  public var clockLeap = Duration.seconds(1)...Duration.seconds(600)
  /// The maximum permanent deviation of clocks, in parts per million.
  public var clockSkew = 200
  /// A store request fails, before or after it took effect.
  public var storeFailure = 0.02
  /// A store request is slow.
  public var storeSlowness = 0.05
  /// An answer of a store, of an application, or of public-key work is lost.
  public var lostAnswer = 0.01
  /// Public-key work is slow.
  public var slowWork = 0.05
  /// Public-key work is refused because the driver is too busy.
  public var refusedWork = 0.01
  /// A crash also loses the store, in opportunistic pairs.
  public var storeLoss = 0.1
  /// An attempt has a time limit, after which the application closes it.
  public var attemptLimit = 0.6
  /// An application opens a session at the same time as its peer.
  public var bothOpen = 0.2
  /// An application cancels an acceptance, mostly before a session exists.
  public var cancelledAccept = 0.05

  /// Makes the default faults.
  public init() {}

  /// A plan without faults.
  public static let none: FaultPlan = {
    var plan = FaultPlan()
    plan.partitionsPerHour = 0
    plan.crashesPerHour = 0
    plan.rebindingsPerHour = 0
    plan.clockLeapsPerHour = 0
    plan.storeFailure = 0
    plan.storeSlowness = 0
    plan.lostAnswer = 0
    plan.slowWork = 0
    plan.refusedWork = 0
    plan.storeLoss = 0
    plan.clockSkew = 0
    plan.attemptLimit = 0
    plan.bothOpen = 0
    plan.cancelledAccept = 0
    return plan
  }()
}

/// The adversary's actions during turbulence, in campaigns against one pair of peers after another.
///
/// In a campaign it holds back packets of the pair by type, releases them at any time, repeats
/// everything that it has ever seen, replaces the source of genuine Hellos by its own address, and
/// forwards the responses. Meanwhile the pair's applications are restless: they open, close and
/// reopen, both at once, and their processes are restarted.
public struct AdversaryPlan: Sendable, Hashable {
  /// Campaigns per hour of turbulence. Each turbulence begins with one, also the first, when no
  /// peers have met yet.
  public var campaignsPerHour = 100.0
  /// The kinds of campaigns, with equal probability; at least one.
  public var kinds = CampaignKind.allCases
  /// The duration of a campaign.
  public var campaign = Duration.seconds(5)...Duration.seconds(150)
  /// Old packets per hour of turbulence that are released outside of campaigns, after minutes or
  /// hours.
  public var releasesPerHour = 60.0

  /// Makes the default adversary.
  public init() {}

  /// A plan without an adversary.
  public static let none: AdversaryPlan = {
    var plan = AdversaryPlan()
    plan.campaignsPerHour = 0
    plan.releasesPerHour = 0
    return plan
  }()

  var isActive: Bool { campaignsPerHour > 0 || releasesPerHour > 0 }
}

extension NetworkPlan {
  /// A network without losses and changes.
  public static let perfect: NetworkPlan = {
    var plan = NetworkPlan()
    plan.loss = 0
    plan.duplication = 0
    plan.reordering = 0
    plan.corruption = 0
    return plan
  }()
}
