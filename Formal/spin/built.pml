/* SPDX-License-Identifier: Apache-2.0 */
/* built.pml -- agreement on ratchet states in the protocol AS BUILT: sections 6, 7, 9, 11 of the specification with the
 * decisions of its section 14, under loss, delay, reordering, duplication, crashes: the network is an attacker who holds
 * back and repeats what it likes.  (ratchet.pml is the protocol without section 14, and shows why it is needed.)
 *
 * Peer Alice has endpoint 0 and row R[0]; peer Bob has endpoints 1..NB, which share his static key and his row R[1].
 * A row holds (s1, s2) and the latest LIM names that were revoked.  A ratchet state is a small number, reused when it has
 * vanished everywhere.  Which of two fingerprints is smaller is chosen at random when it is first looked at, and remembered.
 * Both rows start with (1, NIL): the one-time password.
 *
 * Properties (assert):
 *   COMMON   in every reachable state the rows have a state in common, so a fresh handshake without losses succeeds in either
 *            direction and with either responder.  As everything volatile and in flight may be lost at any moment (crash,
 *            loss), that is the same as "from every reachable state, if losses stop, a session can be established".
 *   SESSION  a handshake that its initiator has left behind ends no session that both sides hold (unless NB=2 without SHARDS:
 *            hosts do not know of each other's sessions; or SECOND).
 *   REPORT   (OPP) a downgrade that a store took is reported, or a half-open handshake knows that it was not yet.
 *   NODOWN   (OPP) as long as no store is lost, there is no downgrade at all.
 * No timer is trusted: any wait may end at any moment, and a packet may arrive at any time after it was sent.
 * That a row holds two states at most is how it is built: a pair.
 *
 * What an endpoint does between two questions to its store is one step, and so is a question with its answer.  (An X2 that is
 * computed before and leaves after a change of the row is an X2 that was sent before and is late.)
 *
 * A list that a half-open handshake or a session in R1 keeps itself (section 14) is not modelled, but for what only it
 * remembers: it refuses what the row refuses too.
 *
 * Options (-D):
 *   NB=2     two responders with one store               (default 1)
 *   SHARDS   they are shards of one endpoint: marks and attempts are shared, and none opens a session while the newest one of
 *            another lasts.  What ends a session in the other shard is a message that may be late or lost: the session lasts as
 *            long as it likes.  (Without it: two hosts.)
 *   BOTH     either peer opens sessions                  (default: only Alice)
 *   REKEY    re-keying (KK) too
 *   SECOND   a session may be opened while there is one
 *   FAIL     a responder's swap may take effect and be reported as failed
 *   OPP      opportunistic mode: both may fall back to the empty state      (default: persistent mode)
 *   FIRST    (OPP) both rows are empty to begin with
 *   LOSS     (OPP) a store may lose its row
 *   LIM=n    how many revoked names a row keeps          (default 1; the code: 256)
 *   SMALL=1  Bob has the smaller static key              (default 0: Alice; only matters with BOTH)
 *   REACH=n  sanity: branch n is reached (must fail)
 * Options that take a decision of section 14 (or of section 12) away, and must fail:
 *   NORF2    a Hello is looked up by rf1 only
 *   NOREVOKE nothing is revoked
 *   NOSTORE  only the endpoint remembers what is revoked, not the store
 *   NOOTHER  only the name that a Hello names first is revoked
 *   FIFO     the oldest revoked name is dropped for the newest, and no attempt is refused for it
 *   NOMARK   an X3 is taken whose X2 is older than the last swap of a session
 *   NOANSWER an X3 under the empty state is a downgrade even if its peer has answered under a state since its X2
 *   ANYSHARD a shard opens a session beside the newest one, which another shard has
 *   NOOWN    the responder always stores (new, none)
 *   NOMIN    of two states that a Hello names, the first is taken
 *   NOREPORT a half-open handshake that ends does not report the downgrade that its swap may have been
 *
 * Lines that begin with @ are for Formal/replay.
 */
#define NIL 0
#ifndef NB
#define NB 1
#endif
#ifndef NS
#define NS 2            /* packets in flight */
#endif
#ifdef OPP
#define IDS 7
#else
#define IDS 8           /* ratchet states 1..IDS-1; at most 8, for the bit masks */
#endif
#ifndef NH
#define NH 2            /* half-open handshakes at an endpoint */
#endif
#ifndef SMALL
#define SMALL 0
#endif
#ifndef LIM
#define LIM 1           /* 1 or 2 */
#endif
#ifdef OPP
#define EMPTY 7         /* the empty state; other names are below */
#define isName(x) ((x) != NIL && (x) != EMPTY)
#else
#define isName(x) ((x) != NIL)
#endif
#define NE (NB + 1)
#define row(e) ((e) == 0 -> 0 : 1)
#define bit(x) (1 << (x))
#ifdef REACH
#define hit(k) if :: REACH == k -> assert(false) :: else fi
#else
#define hit(k) skip
#endif
mtype = { X1, X2, X3, C1, C2, K1, K2 };
mtype = { idle, a1, a3, se1, se2, r1, r2 };

/* state used, new (0: none), names revoked since; flags below */
typedef half { byte u; byte n; byte age; bool dead; bool owes; bool late };
typedef pair { byte s1; byte s2; byte rv[LIM] };               /* durable; the latest revoked name is the last */
typedef ep { mtype st; byte pe; byte u; byte n; byte m1; byte m2;             /* opener: peer, state kept, new; loaded pair */
             mtype ss; byte spe; byte base; byte own; byte nx; byte age; bool resp }; /* session: peer, state, pair, next */
/* half.dead: this endpoint knows that nothing may come of it.  half.owes: its swap was a downgrade, which took effect, was
 * reported as failed by the store, and was not reported to the application yet.  half.late: since its X2, which is based on
 * the empty state, an X2 of the peer was read that is based on another one. */
/* A packet is a number: type, from, to, u, v, and for X1 whether its attempt is the current one.  The slots are in order. */
int net[NS];
byte mp[8];
#ifdef BOTH
byte lt[8];             /* which name is smaller than which, as far as that was looked at */
byte tmp[8];
#endif
half ho[NE * NH];
pair R[2];
ep E[NE];
#ifdef OPP
bool owed;              /* ghost: a store took a downgrade that was not reported */
#endif
#if defined(SHARDS) && NB > 1
byte newest;            /* the shard of Bob's that has the newest session; 0: none */
#define recordSession(EP) newest = ((EP) == 0 -> newest : (EP))
#else
#define recordSession(EP) skip
#endif

#define pkt(T, FR, TO, LIVE, U, V) ((T) * 4096 + (FR) * 1024 + (TO) * 256 + (LIVE) * 64 + (U) * 8 + (V))
#define typeOf(P) ((P) / 4096)
#define frOf(P) (((P) / 1024) % 4)
#define toOf(P) (((P) / 256) % 4)
#define liveOf(P) (((P) / 64) % 4)
#define uOf(P) (((P) / 8) % 8)
#define vOf(P) ((P) % 8)

#define has(e, i) (isName(i) && (R[row(e)].s1 == (i) || R[row(e)].s2 == (i)))
#if LIM > 1
#define inList(e, i) (R[row(e)].rv[0] == (i) || R[row(e)].rv[1] == (i))
#else
#define inList(e, i) (R[row(e)].rv[0] == (i))
#endif
/* No swap of an attempt of this age brings the state in. */
#ifdef FIFO
#define refused(e, i, a) (!has(e, i) && inList(e, i))
#else
#define refused(e, i, a) (!has(e, i) && (inList(e, i) || (a) > LIM))
#endif
#define holds(e, x, y) (R[row(e)].s1 == (x) && R[row(e)].s2 == (y))
#ifdef NORF2
#define common (R[0].s1 != NIL && has(1, R[0].s1))
#else
#define common ((R[0].s1 != NIL && has(1, R[0].s1)) || (R[0].s2 != NIL && has(1, R[0].s2)))
#endif

/* Into a free slot; lost if there is none, and any packet can be lost later.  One that is there already is not sent again:
 * any packet can be repeated.  (The slots are in order, the empty ones last.) */
#if NS > 2
#define inNet(PK) (net[0] == (PK) || net[1] == (PK) || net[2] == (PK))
#else
#define inNet(PK) (net[0] == (PK) || net[1] == (PK))
#endif
inline send(PK) {
  if :: inNet(PK)
     :: else -> if :: net[NS-1] == 0 ->
          net[NS-1] = (PK); printf("@ send %d %e %d %d\n", PK, typeOf(PK), frOf(PK), toOf(PK)); sort()
          :: else fi fi }
inline swapSlots(I) { if :: net[I] < net[I+1] -> d = net[I]; net[I] = net[I+1]; net[I+1] = d; d = 0 :: else fi }
inline sort() {
  swapSlots(0);
#if NS > 2
  swapSlots(1); swapSlots(0)
#endif
  }
inline clear(I) { printf("@ clear %d\n", I); net[I] = 0; sort() }

/* What cannot matter any more goes, which is what would happen to it some time: an X2 of an attempt that is over; a half-open
 * handshake whose outcome nobody else has; names given up that nobody else has.  Then the names are numbered anew in the order
 * in which they are found, so that states that differ in nothing but their numbers are one. */
inline see(X) { if :: isName(X) && mp[X] == 0 -> l++; mp[X] = l :: else fi }
#ifdef BOTH
inline remask(M) {
  if :: M != 0 -> w = 0; d = 1; do :: d < 8 -> if :: (M & bit(d)) != 0 && mp[d] != 0 -> w = w | bit(mp[d]) :: else fi; d++ :: else -> break od; M = w; w = 0; d = 0
     :: else fi }
#endif
inline tidy() { d_step {
  l = 0;                /* the names that anybody but a half-open handshake and a row has */
  k = 0; do :: k < NS ->
    if :: net[k] != 0 && typeOf(net[k]) == X2 && E[toOf(net[k])].st != a1 -> net[k] = 0
       :: net[k] != 0 && typeOf(net[k]) == X1 && E[frOf(net[k])].st != a1 && liveOf(net[k]) == 1 -> net[k] = net[k] - 64
       :: else fi;
    if :: net[k] != 0 -> l = l | bit(uOf(net[k])) | bit(vOf(net[k])) :: else fi;
    k++ :: else -> break od;
  k = 0; do :: k < NE -> l = l | bit(E[k].n); k++ :: else -> break od;
  k = 0; do :: k < NE * NH -> if :: ho[k].n != 0 && (ho[k].age > LIM || (l & bit(ho[k].n)) == 0) && !ho[k].owes -> emptyHo(k) :: else fi; k++ :: else -> break od;
#if NH > 1
  k = 0; do :: k < NE -> if :: ho[k*NH].n == 0 && ho[k*NH+1].n != 0 ->
       ho[k*NH].u = ho[k*NH+1].u; ho[k*NH].n = ho[k*NH+1].n; ho[k*NH].age = ho[k*NH+1].age;
       ho[k*NH].dead = ho[k*NH+1].dead; ho[k*NH].owes = ho[k*NH+1].owes; ho[k*NH].late = ho[k*NH+1].late; emptyHo(k*NH+1) :: else fi; k++ :: else -> break od;
#endif
  k = 0; do :: k < 8 -> mp[k] = 0; k++ :: else -> break od;
  l = 0;
#ifdef OPP
  mp[EMPTY] = EMPTY;
#endif
  see(R[0].s1); see(R[0].s2); see(R[1].s1); see(R[1].s2);
  k = 0; do :: k < NE -> see(E[k].u); see(E[k].n); see(E[k].m1); see(E[k].m2); see(E[k].base); see(E[k].own); see(E[k].nx); k++ :: else -> break od;
  k = 0; do :: k < NE * NH -> see(ho[k].n); see(ho[k].u); k++ :: else -> break od;
  k = 0; do :: k < NS -> see(uOf(net[k])); see(vOf(net[k])); k++ :: else -> break od;
  R[0].s1 = mp[R[0].s1]; R[0].s2 = mp[R[0].s2]; R[1].s1 = mp[R[1].s1]; R[1].s2 = mp[R[1].s2];
  k = 0; do :: k < LIM -> R[0].rv[k] = mp[R[0].rv[k]]; R[1].rv[k] = mp[R[1].rv[k]]; k++ :: else -> break od;
  k = 0; do :: k < NE -> E[k].u = mp[E[k].u]; E[k].n = mp[E[k].n]; E[k].m1 = mp[E[k].m1]; E[k].m2 = mp[E[k].m2];
    E[k].base = mp[E[k].base]; E[k].own = mp[E[k].own]; E[k].nx = mp[E[k].nx]; k++ :: else -> break od;
  k = 0; do :: k < NE * NH -> ho[k].n = mp[ho[k].n]; ho[k].u = mp[ho[k].u]; k++ :: else -> break od;
  k = 0; do :: k < NS -> net[k] = net[k] - uOf(net[k]) * 8 - vOf(net[k]) + mp[uOf(net[k])] * 8 + mp[vOf(net[k])]; k++ :: else -> break od;
#ifdef BOTH
  k = 0; do :: k < 8 -> tmp[k] = 0; k++ :: else -> break od;
  k = 1; do :: k < 8 -> if :: mp[k] != 0 && lt[k] != 0 -> remask(lt[k]); tmp[mp[k]] = lt[k] :: else fi; k++ :: else -> break od;
  k = 0; do :: k < 8 -> lt[k] = tmp[k]; tmp[k] = 0; k++ :: else -> break od;
#endif
  printf("@ slots %d %d %d\n", net[0], net[1], net[NS-1]);
  sort();
  k = 0; do :: k < 8 -> mp[k] = 0; k++ :: else -> break od;
  k = 0; l = 0; w = 0; d = 0 };
  printf("  rows (%d %d) (%d %d), revoked last %d %d\n", R[0].s1, R[0].s2, R[1].s1, R[1].s2, R[0].rv[LIM-1], R[1].rv[LIM-1]) }

/* a name that nobody has; X == IDS: none is free, the step is not taken */
inline fresh(X) { d_step {
  l = bit(R[0].s1) | bit(R[0].s2) | bit(R[1].s1) | bit(R[1].s2) | bit(y) | bit(z);      /* y, z: the packet that is being delivered */
  k = 0; do :: k < NS -> l = l | bit(uOf(net[k])) | bit(vOf(net[k])); k++ :: else -> break od;
  k = 0; do :: k < NE -> l = l | bit(E[k].u) | bit(E[k].n) | bit(E[k].m1) | bit(E[k].m2) | bit(E[k].base) | bit(E[k].own) | bit(E[k].nx); k++ :: else -> break od;
  k = 0; do :: k < NE * NH -> l = l | bit(ho[k].n) | bit(ho[k].u); k++ :: else -> break od;
  k = 0;
  X = 1; do :: X < IDS && (l & bit(X)) != 0 -> X++ :: else -> break od;
  l = 0 };
  if :: X == IDS -> hit(12) :: else fi }

inline emptyHo(I) { ho[I].u = 0; ho[I].n = 0; ho[I].age = 0; ho[I].dead = false; ho[I].owes = false; ho[I].late = false }
/* A half-open handshake ends.  What it owes it reports. */
inline dropHo(I) {
#if defined(OPP) && !defined(NOREPORT)
  if :: ho[I].owes -> owed = false :: else fi;
#endif
  emptyHo(I) }
inline endOpen(EP) { E[EP].st = idle; E[EP].pe = 0; E[EP].u = 0; E[EP].n = 0; E[EP].m1 = 0; E[EP].m2 = 0 }
inline endSes(EP) {
#if defined(SHARDS) && NB > 1
  if :: newest == EP -> newest = 0 :: else fi;
#endif
  E[EP].ss = idle; E[EP].spe = 0; E[EP].base = 0; E[EP].own = 0; E[EP].nx = 0; E[EP].age = 0; E[EP].resp = false }
inline crash(EP) {       /* nobody is there to report anything */
  printf("@ crash %d\n", EP); endSes(EP);
  i = 0; do :: i < NH ->
#ifdef OPP
    if :: ho[EP*NH + i].owes -> owed = false :: else fi;
#endif
    emptyHo(EP*NH + i); i++ :: else -> break od; i = 0; endOpen(EP) }


inline opened(EP) {      /* open, or begin anew: A1.  Alice may go to either responder. */
  if :: EP == 0 -> q = 1 :: EP == 0 && NB > 1 -> q = NB :: EP != 0 -> q = 0 fi;
  E[EP].st = a1; E[EP].pe = q; E[EP].u = 0; E[EP].n = 0; E[EP].m1 = R[row(EP)].s1; E[EP].m2 = R[row(EP)].s2;
  printf("@ open %d %d\n", EP, q);
  send(pkt(X1, EP, q, 1, E[EP].m1, E[EP].m2)); q = 0 }

/* whether endpoints P and Q know of each other's sessions and attempts */
#ifdef SHARDS
#define together(P, Q) (row(P) == row(Q))
#else
#define together(P, Q) ((P) == (Q))
#endif
/* An X3 of an attempt of this side may be out. */
#if defined(SHARDS) && NB > 1
#define committed(EP) ((EP) == 0 -> E[0].st == a3 : E[1].st == a3 || E[2].st == a3)
#else
#define committed(EP) (E[EP].st == a3)
#endif

/* A session of endpoint EP asks for a swap: X2 that were sent before have an older mark.  Their X3 will be refused, so the
 * half-open handshakes are no longer worth anything. */
inline progress(EP) {
#ifndef NOMARK
  k = 0; do :: k < NE * NH -> if :: ho[k].n != 0 && together(k / NH, EP) -> dropHo(k) :: else fi; k++ :: else -> break od; k = 0
#else
  skip
#endif
}

/* endpoint EP is answering a Hello under another state than NAME, which the Hello names too */
inline revoke(EP, NAME) {
#ifndef NOREVOKE
  if :: isName(NAME) && !has(EP, NAME) ->
#ifdef NOSTORE
     k = 0; do :: k < NH -> if :: ho[EP*NH + k].n == NAME -> ho[EP*NH + k].dead = true :: else fi; k++ :: else -> break od; k = 0
#else
     hit(1);
     if :: !inList(EP, NAME) ->
#if LIM > 1
          R[row(EP)].rv[0] = R[row(EP)].rv[1];
#endif
          R[row(EP)].rv[LIM-1] = NAME;
#ifndef FIFO
          k = 0; do :: k < NE * NH -> if :: ho[k].n != 0 && row(k / NH) == row(EP) && ho[k].age <= LIM -> ho[k].age++ :: else fi; k++ :: else -> break od;
#ifdef REKEY
          k = 0; do :: k < NE -> if :: E[k].ss != idle && row(k) == row(EP) && E[k].age <= LIM -> E[k].age++ :: else fi; k++ :: else -> break od;
#endif
          k = 0
#endif
        :: else fi
#endif
  :: isName(NAME) && has(EP, NAME) -> hit(2)
  :: else fi
#else
  skip
#endif
}

#ifdef OPP
/* A Hello of which nothing is known names NAME first: whoever sent it goes on without that state. */
inline leaveBehind(EP, NAME) {
  k = 0; do :: k < NE * NH -> if :: ho[k].n != 0 && ho[k].n == NAME && together(k / NH, EP) -> ho[k].dead = true :: else fi; k++ :: else -> break od; k = 0 }

/* Endpoint EP has read an X2 that is based on the state NAME.  A peer that has a state has lost none. */
inline answered(EP, NAME) {
#ifndef NOANSWER
  if :: NAME != EMPTY -> k = 0; do :: k < NE * NH -> if :: ho[k].n != 0 && ho[k].u == EMPTY && together(k / NH, EP) -> ho[k].late = true :: else fi; k++ :: else -> break od; k = 0
     :: else fi
#else
  skip
#endif
}
#endif

/* SESSION: the handshake that leads to Y is about to replace the sessions of endpoint EP and of its other shards. */
#define holdBoth(P, F) (E[P].ss != idle && E[P].spe == F && E[F].ss != idle && E[F].spe == P && \
  (E[P].base == E[F].base || E[P].base == E[F].nx || E[P].nx == E[F].base))
#if defined(SECOND)
#define leftBehindSession(EP, F, Y) false
#elif defined(SHARDS) && NB > 1
#define leftBehindSession(EP, F, Y) (!(E[F].st == a3 && E[F].n == (Y)) && \
  ((EP) == 0 -> (holdBoth(0, 1) || holdBoth(0, 2)) : (holdBoth(1, 0) || holdBoth(2, 0))))
#elif NB > 1
#define leftBehindSession(EP, F, Y) false
#else
#define leftBehindSession(EP, F, Y) (!(E[F].st == a3 && E[F].n == (Y)) && holdBoth(EP, F))
#endif

inline deliver(SLOT) {
  t = typeOf(net[SLOT]); q = toOf(net[SLOT]); f = frOf(net[SLOT]); g = liveOf(net[SLOT]); y = uOf(net[SLOT]); z = vOf(net[SLOT]);
  printf("@ deliver %d   %e %d->%d (%d %d)\n", SLOT, t, f, q, y, z);
  if :: clear(SLOT) :: true fi;                /* or a copy stays */
  if
  :: t == X1 ->                                /* under which state is it answered? */
     w = NIL;
     if :: has(q, y) -> w = y
#ifndef NORF2
        if :: has(q, z) -> hit(3);
#if defined(BOTH) && !defined(NOMIN)
              if :: (lt[z] & bit(y)) != 0 -> w = z
                 :: (lt[y] & bit(z)) != 0
                 :: else -> if :: lt[z] = lt[z] | bit(y); w = z :: lt[y] = lt[y] | bit(z) fi fi
#endif
           :: else fi
        :: !has(q, y) && has(q, z) -> w = z
#endif
        :: else fi;
#ifdef OPP
     if :: w == NIL -> w = EMPTY; leaveBehind(q, y); hit(13) :: else fi;
#endif
     if :: w != NIL ->
        fresh(x);
        if :: x < IDS ->
           if :: isName(w) && w != y -> revoke(q, y) :: else fi;
#ifndef NOOTHER
           if :: isName(w) && w == y -> revoke(q, z) :: else fi;
#endif
           k = q*NH;
           if :: ho[k].n == 0
              :: else -> if :: NH > 1 && ho[k+NH-1].n == 0 -> k = k+NH-1
                            :: else -> if :: !ho[k].owes :: NH > 1 && !ho[k+NH-1].owes -> k = k+NH-1 :: else fi;   /* evicts */
                                       if :: ho[k].owes -> dropHo(k) :: else fi fi fi;
           emptyHo(k); ho[k].u = w; ho[k].n = x; k = 0;
           if :: g == 1 -> send(pkt(X2, q, f, 0, w, x)) :: else fi
        :: else fi
     :: else fi
#ifdef OPP
  :: t == X2 && E[q].st == a1 && (y == E[q].m1 || y == E[q].m2 || y == EMPTY) ->
#else
  :: t == X2 && E[q].st == a1 && (y == E[q].m1 || y == E[q].m2) ->
#endif
#ifdef OPP
     answered(q, y);
#endif
     if :: holds(q, E[q].m1, E[q].m2) && !refused(q, z, 0) ->         /* to (new, used) */
#ifdef OPP
           if :: y == EMPTY && E[q].m1 != EMPTY && E[q].m2 != EMPTY ->  /* a downgrade keeps the last confirmed state */
                 hit(14);
#ifdef NODOWN
                 assert(false);
#endif
                 if :: E[q].m2 != NIL -> y = E[q].m2 :: else -> y = E[q].m1 fi
              :: else fi;
#endif
           R[row(q)].s1 = z; R[row(q)].s2 = y; E[q].st = a3; E[q].u = y; E[q].n = z; E[q].m1 = 0; E[q].m2 = 0;
           send(pkt(X3, q, f, 0, z, 0))
        :: else -> endOpen(q) fi
  :: t == X3 ->
     k = q*NH; do :: k < q*NH + NH && ho[k].n != y -> k++ :: else -> break od;
     if :: k < q*NH + NH ->
        if
        :: ho[k].dead -> dropHo(k); hit(4)                                      /* superseded */
        :: !ho[k].dead && committed(q) && row(q) == SMALL -> dropHo(k)          /* our own attempt is preferred */
        :: !ho[k].dead && committed(q) && row(q) != SMALL                       /* ours may be confirmed any moment: wait */
        :: !ho[k].dead && !(committed(q) && row(q) == SMALL) ->
           if :: committed(q) -> printf("@ wait %d\n", q) :: else fi;
           w = ho[k].u; g = ho[k].age; x = 255;
           if :: R[row(q)].s1 == y -> x = R[row(q)].s2; hit(5)
              :: R[row(q)].s1 != y && R[row(q)].s1 == w -> x = NIL
#ifdef NOOWN
              :: R[row(q)].s1 != y && R[row(q)].s1 != w && R[row(q)].s2 == w -> x = NIL
#else
              :: R[row(q)].s1 != y && R[row(q)].s1 != w && R[row(q)].s2 == w -> x = R[row(q)].s1; hit(6)
#endif
#ifdef OPP
              :: R[row(q)].s1 != y && R[row(q)].s1 != w && R[row(q)].s2 != w && w == EMPTY && !ho[k].late -> x = NIL; l = 1; hit(15)   /* a downgrade */
              :: R[row(q)].s1 != y && R[row(q)].s1 != w && R[row(q)].s2 != w && w == EMPTY && ho[k].late -> hit(16)      /* left behind */
#endif
              :: else fi;                                                        /* rejected */
           if :: x != 255 && refused(q, y, g) -> dropHo(k); hit(7)               /* the store refuses */
#ifdef FAIL
              :: x != 255 && !refused(q, y, g) ->                                /* it took effect, and the answer is "failed" */
                 R[row(q)].s1 = y; R[row(q)].s2 = x;
#ifdef OPP
                 if :: l == 1 && !ho[k].owes -> ho[k].owes = true; owed = true :: else fi
#endif
#endif
              :: x != 255 && !refused(q, y, g) ->
#ifdef NODOWN
                 assert(l == 0);
#endif
                 dropHo(k);                                                      /* what it owed is reported */
                 R[row(q)].s1 = y; R[row(q)].s2 = x;
                 assert(!leftBehindSession(q, f, y));
                 endOpen(q); endSes(q); progress(q);
                 E[q].ss = se1; E[q].spe = f; E[q].base = y; E[q].own = x; E[q].resp = true; recordSession(q);
                 send(pkt(C1, q, f, 0, y, 0))
              :: x == 255 -> dropHo(k) fi;
           l = 0
        fi
     :: else fi; k = 0
  :: t == C1 && E[q].st == a3 && E[q].n == y ->
     progress(q);
     if :: holds(q, y, E[q].u) -> R[row(q)].s2 = NIL; endOpen(q); endSes(q);
           E[q].ss = se2; E[q].spe = f; E[q].base = y; recordSession(q); hit(8);
           send(pkt(C2, q, f, 0, y, 0))
        :: else -> endOpen(q) fi
  :: t == C1 && E[q].ss == r2 && E[q].nx == y ->
     progress(q);
     if :: holds(q, y, E[q].base) -> R[row(q)].s2 = NIL; E[q].ss = se2; E[q].base = y; E[q].nx = 0;
           send(pkt(C2, q, f, 0, y, 0))
        :: else -> endSes(q) fi
  :: t == C1 && (E[q].ss == se1 || E[q].ss == se2 || E[q].ss == r1 || E[q].ss == r2) && E[q].base == y ->
     send(pkt(C2, q, f, 0, y, 0))
  :: t == C2 && E[q].ss == se1 && E[q].base == y ->
     if :: E[q].own == NIL -> E[q].ss = se2
        :: E[q].own != NIL && holds(q, y, E[q].own) -> progress(q); R[row(q)].s2 = NIL; E[q].own = NIL; E[q].ss = se2; hit(9)
        :: else -> endSes(q) fi
#ifdef REKEY
  :: t == K1 && (E[q].ss == se2 || (E[q].ss == r1 && E[q].resp)) && E[q].base == y ->
     fresh(x);
     if :: x < IDS ->
        progress(q);
        if :: holds(q, y, NIL) -> R[row(q)].s1 = x; R[row(q)].s2 = y; E[q].ss = r2; E[q].nx = x;
              send(pkt(K2, q, f, 0, y, x))
           :: else -> endSes(q) fi
        :: else fi
  :: t == K2 && E[q].ss == r1 && E[q].base == y ->
     progress(q);
     if :: refused(q, z, E[q].age) -> hit(10)                /* R1 comes to its end, or the session ends at once */
        :: !refused(q, z, E[q].age) && holds(q, y, NIL) ->
           R[row(q)].s1 = z; E[q].ss = se1; E[q].base = z; hit(11);
           send(pkt(C1, q, f, 0, z, 0))
        :: !refused(q, z, E[q].age) && !holds(q, y, NIL) -> endSes(q) fi
#endif
  :: else
  fi;
  t = 0; g = 0; q = 0; f = 0; w = 0; x = 0; y = 0; z = 0 }

#ifdef BOTH
#define opens(e) true
#else
#define opens(e) (e == 0)
#endif
#ifdef SECOND
#define mayOpen(e) (opens(e) && E[e].st == idle)
#elif defined(SHARDS) && NB > 1 && !defined(ANYSHARD)
/* The directory tells the transport where the newest session is. */
#define mayOpen(e) (opens(e) && E[e].st == idle && E[e].ss == idle && ((e) == 0 || newest == 0))
#else
#define mayOpen(e) (opens(e) && E[e].st == idle && E[e].ss == idle)
#endif

active proctype world() {
  byte e, i, j, k, q, f, w, x, y, z, g, l, t; int d;
  d_step {
#ifdef FIRST
           R[0].s1 = EMPTY; R[1].s1 = EMPTY;
#else
           R[0].s1 = 1; R[1].s1 = 1;
#endif
           i = 0; do :: i < NE -> E[i].st = idle; E[i].ss = idle; i++ :: else -> break od;
           i = 0 }
  do
#if !defined(REACH) && !defined(OPP)
  :: !common -> assert(false)
#endif
#if !defined(REACH) && defined(OPP)
  :: owed && !(ho[0].owes || ho[NH-1].owes || ho[NH].owes || ho[2*NH-1].owes || ho[NE*NH-1].owes || ho[NE*NH-NH].owes) -> assert(false)
#endif
  :: atomic {
     if
     :: net[0] != 0 ->                                             /* a packet arrives, or is lost */
        if :: j = 0 :: net[1] != 0 -> j = 1
#if NS > 2
           :: net[2] != 0 -> j = 2
#endif
           fi;
        if :: deliver(j) :: clear(j) fi; j = 0
     :: true ->
        if :: e = 0 :: e = 1
#if NB > 1
           :: e = 2
#endif
           fi;
        if
        :: mayOpen(e) -> opened(e)
        :: E[e].st == a1 -> printf("@ resend %d X1\n", e); send(pkt(X1, e, E[e].pe, 1, E[e].m1, E[e].m2))
        :: E[e].st == a3 -> printf("@ resend %d X3\n", e); send(pkt(X3, e, E[e].pe, 0, E[e].n, 0))
        :: E[e].st == a1 || E[e].st == a3 -> printf("@ endattempt %d\n", e); endOpen(e)     /* time-out, closed: begins anew, if at all */
        :: E[e].ss == se1 -> printf("@ resend %d C1\n", e); send(pkt(C1, e, E[e].spe, 0, E[e].base, 0))
        :: E[e].ss != idle -> printf("@ endsession %d\n", e); endSes(e)                    /* time-out, closed */
#ifdef REKEY
        :: E[e].ss == se2 -> E[e].ss = r1; printf("@ rekey %d\n", e); send(pkt(K1, e, E[e].spe, 0, E[e].base, 0))
        :: E[e].ss == r1 -> printf("@ resend %d K1\n", e); send(pkt(K1, e, E[e].spe, 0, E[e].base, 0))
        :: E[e].ss == r2 -> printf("@ resend %d K2\n", e); send(pkt(K2, e, E[e].spe, 0, E[e].base, E[e].nx))
#endif
#ifdef LOSS
        :: e < 2 && R[e].s1 != EMPTY -> printf("@ forget %d\n", e); R[e].s1 = EMPTY; R[e].s2 = NIL;
           k = 0; do :: k < LIM -> R[e].rv[k] = 0; k++ :: else -> break od; k = 0
#endif
        :: ho[e*NH].n != 0 -> printf("@ expire %d\n", e); dropHo(e*NH)                                                      /* a half-open handshake expires */
        :: ho[e*NH+NH-1].n != 0 -> printf("@ expire %d\n", e); dropHo(e*NH+NH-1)
        :: E[e].st != idle || E[e].ss != idle || ho[e*NH].n != 0 || ho[e*NH+NH-1].n != 0 -> crash(e)
        :: else
        fi; e = 0
     fi;
     tidy() }
  od
}
