// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// What a simulation consists of. The seed decides all that the plan leaves open.
///
/// A run alternates between turbulence, in which everything may go wrong, and calm, in which nothing does and all
/// that was lost must come back.
public struct SimulationPlan: Sendable, Hashable {
  /// Which flags the peers have (section 10).
  public enum Mode: String, Sendable, Hashable, CaseIterable {
    /// All have π1 to π4, and one-time passwords are stored beforehand.
    case persistent
    /// None has a flag set.
    case opportunistic
    /// Each peer is either, by the seed. Pairs with a persistent member have one-time passwords.
    case mixed
  }

  /// Which flags the peers have.
  public var mode = Mode.mixed
  /// How many peers there are. Up to 5 all talk to all, beyond that each to its four neighbours on a ring.
  public var peers = 4
  /// How many endpoints the first peer is, with one static key and one store. What comes to no session of one of them comes to any,
  /// as behind a load balancer that changes its mind.
  public var responders = 1
  /// How many shards the endpoints of the other peers have, and that of the first unless it is several: 1, 2, 4, … 256. Shards of an
  /// endpoint share its key, its store and what they know of their sessions.
  public var shards = 1
  /// How long the run takes, in virtual time.
  public var duration = Duration.seconds(3 * 3600)
  /// How long turbulence lasts before there is calm.
  public var turbulence = Duration.seconds(1800)
  /// How long calm lasts. Longer than an hour, it sees re-keys.
  public var calm = Duration.seconds(4500)
  /// The mean time between what one application does.
  public var applicationInterval = Duration.seconds(8)
  /// The settings of all endpoints.
  public var settings = Settings()
  /// What Hellos must bring.
  public var helloPolicy = HelloPolicy.automatic()
  /// What happens to datagrams.
  public var network = NetworkPlan()
  /// What happens to peers, stores and applications.
  public var faults = FaultPlan()
  /// Attacks per virtual second, of all kinds together: datagrams that are repeated, changed or made up.
  public var attacksPerSecond = 0.5
  /// What an adversary with a memory and a plan does.
  public var adversary = AdversaryPlan()

  /// Promises that are not checked, to look behind a fault that is known.
  public var unchecked: Set<Violation.Invariant> = []

  /// The defaults: four peers of both modes, three hours, a bad network, everything that can fail failing at times.
  public init() {}
}

/// What the network does to datagrams while there is turbulence. Rates are probabilities for each datagram.
public struct NetworkPlan: Sendable, Hashable {
  /// It is lost.
  public var loss = 0.05
  /// It comes twice.
  public var duplication = 0.03
  /// It comes up to seconds late, behind later ones.
  public var reordering = 0.05
  /// Its bytes are changed on the way.
  public var corruption = 0.005
  /// The usual delay.
  public var delay = Duration.milliseconds(2)...Duration.milliseconds(60)
  /// The delay of the reordered.
  public var lateness = Duration.milliseconds(50)...Duration.seconds(4)

  /// The defaults.
  public init() {}
}

/// What fails, and how often, while there is turbulence.
public struct FaultPlan: Sendable, Hashable {
  /// Partitions per hour, one-way or both ways, of one pair or around one peer.
  public var partitionsPerHour = 6.0
  /// How long a partition lasts.
  public var partition = Duration.seconds(1)...Duration.seconds(120)
  /// Crashes per hour of each peer: memory gone, store kept.
  public var crashesPerHour = 2.0
  /// How long a crashed peer is away.
  public var downtime = Duration.milliseconds(10)...Duration.seconds(60)
  /// Changes of address per hour of each peer, as of a NAT that rebinds.
  public var rebindingsPerHour = 2.0
  /// Leaps forward of each peer's clock, per hour.
  public var clockLeapsPerHour = 0.5
  /// How far clocks leap.
  public var clockLeap = Duration.seconds(1)...Duration.seconds(600)
  /// Clocks run fast or slow by up to so many parts in a million, all the time.
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
  /// A crash takes the store with it, in opportunistic pairs.
  public var storeLoss = 0.1
  /// An attempt to open a session has a time limit, after which the application closes it.
  public var attemptLimit = 0.6
  /// An application that opens a session does so just when its peer does.
  public var bothOpen = 0.2
  /// An application that has accepted a peer changes its mind, mostly before there is a session.
  public var cancelledAccept = 0.05

  /// The defaults.
  public init() {}

  /// Nothing fails.
  public static let none: FaultPlan = {
    var plan = FaultPlan()
    (plan.partitionsPerHour, plan.crashesPerHour, plan.rebindingsPerHour, plan.clockLeapsPerHour) = (0, 0, 0, 0)
    (plan.storeFailure, plan.storeSlowness, plan.lostAnswer, plan.slowWork) = (0, 0, 0, 0)
    (plan.refusedWork, plan.storeLoss, plan.clockSkew) = (0, 0, 0)
    (plan.attemptLimit, plan.bothOpen, plan.cancelledAccept) = (0, 0, 0)
    return plan
  }()
}

/// What the adversary does while there is turbulence: it takes on one pair of peers after another.
///
/// In such a campaign it holds back packets of the pair by their types, releases them when it likes, repeats what it has ever
/// seen, puts its own address under genuine Hellos, and passes on what comes back. Meanwhile the applications of the pair are
/// restless: they open, close and open again, both at once, and their processes are started again.
public struct AdversaryPlan: Sendable, Hashable {
  /// Campaigns per hour of turbulence. Each turbulence begins with one, and so does the run, when no two peers have met.
  public var campaignsPerHour = 100.0
  /// Which kinds of campaigns there are, each as likely as the others; at least one.
  public var kinds = CampaignKind.allCases
  /// How long a campaign lasts.
  public var campaign = Duration.seconds(5)...Duration.seconds(150)
  /// Old packets per hour of turbulence that are released outside of campaigns, after minutes or hours.
  public var releasesPerHour = 60.0

  /// The defaults.
  public init() {}

  /// No campaigns, and nothing is released.
  public static let none: AdversaryPlan = {
    var plan = AdversaryPlan()
    (plan.campaignsPerHour, plan.releasesPerHour) = (0, 0)
    return plan
  }()

  var isActive: Bool { campaignsPerHour > 0 || releasesPerHour > 0 }
}

extension NetworkPlan {
  /// Nothing is lost or changed.
  public static let perfect: NetworkPlan = {
    var plan = NetworkPlan()
    (plan.loss, plan.duplication, plan.reordering, plan.corruption) = (0, 0, 0, 0)
    return plan
  }()
}
