/* SPDX-License-Identifier: Apache-2.0 */
/* ratchet.pml -- specification sections 6, 7, 9, 11: agreement on ratchet states under loss, delay,
 * reordering, duplication, crashes.  Persistent mode: no fall-back to the empty state.
 *
 * Two peers 0 and 1; each has a durable store pair (s1, s2) for the other, NIL = none.
 * A ratchet state is a small number, reused when it has vanished everywhere.
 * Both start with (1, NIL): the one-time password.
 *
 * Property (assert): in every reachable state the two stores are such that a fresh handshake
 * without losses succeeds.  As everything volatile and in flight may be lost at any moment
 * (crash, loss), that is the same as "from every reachable state, if losses stop, a session
 * can be established", i.e. no lock-out.
 *
 * Options (-D):
 *   RF1RF1   upstream's lookup: rf1 twice, never rf2              (default: rf1, then rf2)
 *   BOTH     either peer opens sessions                           (default: only peer 0)
 *   REKEY    re-keying (KK) too
 *   NODELAY  a new attempt of an opener finds no packets of its older ones, and no half-open
 *            handshake of its older ones at the peer (what A3 >= B2 ensures for time-outs;
 *            here also after crashes: the opener waits B2's 10 s after a start)
 *   ONE      proposed rule, "a ratchet state has one pending successor": (1) answering an X1 with
 *            state u ends every older half-open handshake, and every wait for K2, that builds on
 *            u; (2) storing (new, u) on X2 or on K1 ends every own half-open handshake on u
 *   NOTIMER  a time-out of A3 does not imply that the half-open handshake at B is gone
 */
#define NIL 0
#ifndef NS
#define NS 3            /* packets in flight */
#endif
#ifndef IDS
#define IDS 9           /* ratchet states 1..IDS-1 */
#endif
#ifndef ATS
#define ATS 6           /* attempts 1..ATS-1 */
#endif
#define NH 2            /* half-open handshakes at a peer */
mtype = { X1, X2, X3, C1, C2, K1, K2 };
mtype = { idle, a1, a3, se1, se2, r1, r2 };

typedef slot { mtype t; byte to; byte at; byte u; byte v; bool occ };
typedef half { bool used; byte at; byte u; byte n };
typedef peer { byte s1; byte s2;             /* durable */
               mtype st; byte at; byte u; byte n; byte m1; byte m2;   /* opener: attempt, state used, new; loaded pair */
               mtype ss; byte base; byte nx };                        /* session: state, its ratchet state, next */
slot net[3];
half ho[4];             /* ho[p*NH + k] */
peer P[2];
byte done;              /* sessions confirmed, saturating: for reachability */

#define has(p, i) (P[p].s1 == i || P[p].s2 == i)
#ifdef RF1RF1
#define compat(o, a) (P[o].s1 != NIL && has(a, P[o].s1))
#else
#define compat(o, a) ((P[o].s1 != NIL && has(a, P[o].s1)) || (P[o].s2 != NIL && has(a, P[o].s2)))
#endif

inline send(T, TO, AT, U, V) {     /* lost, or in a free slot */
  if
  :: true
  :: !net[0].occ -> net[0].occ = true; net[0].t = T; net[0].to = TO; net[0].at = AT; net[0].u = U; net[0].v = V
  :: net[0].occ && !net[1].occ -> net[1].occ = true; net[1].t = T; net[1].to = TO; net[1].at = AT; net[1].u = U; net[1].v = V
#if NS > 2
  :: net[0].occ && net[1].occ && !net[2].occ -> net[2].occ = true; net[2].t = T; net[2].to = TO; net[2].at = AT; net[2].u = U; net[2].v = V
#endif
  fi }
inline clear(i) { net[i].occ = false; net[i].t = X1; net[i].to = 0; net[i].at = 0; net[i].u = 0; net[i].v = 0 }
#define inNet(x) ((net[0].occ && (net[0].u == x || net[0].v == x)) || (net[1].occ && (net[1].u == x || net[1].v == x)) || (net[2].occ && (net[2].u == x || net[2].v == x)))
#define inHo(x) (ho[0].u == x || ho[0].n == x || ho[1].u == x || ho[1].n == x || ho[2].u == x || ho[2].n == x || ho[3].u == x || ho[3].n == x)
#define inPeer(p, x) (P[p].s1 == x || P[p].s2 == x || P[p].u == x || P[p].n == x || P[p].m1 == x || P[p].m2 == x || P[p].base == x || P[p].nx == x)
#define inUse(x) (inNet(x) || inHo(x) || inPeer(0, x) || inPeer(1, x))
inline fresh(VV) { VV = 1; do :: VV < IDS && inUse(VV) -> VV++ :: else -> break od }   /* v == IDS: none free, the step is not taken */
#define atUse(x) ((net[0].occ && net[0].at == x) || (net[1].occ && net[1].at == x) || (net[2].occ && net[2].at == x) || ho[0].at == x || ho[1].at == x || ho[2].at == x || ho[3].at == x || P[0].at == x || P[1].at == x)
inline freshAt(VV) { VV = 1; do :: VV < ATS && atUse(VV) -> VV++ :: else -> break od }
inline dropHo(i) { ho[i].used = false; ho[i].at = 0; ho[i].u = 0; ho[i].n = 0 }
inline endOpen(p) { P[p].st = idle; P[p].at = 0; P[p].u = 0; P[p].n = 0; P[p].m1 = 0; P[p].m2 = 0 }
inline endSes(p) { P[p].ss = idle; P[p].base = 0; P[p].nx = 0 }
inline forget(p) {      /* everything of the opener p that is volatile elsewhere */
  i = 0;
  do :: i < NS -> if :: net[i].occ && (net[i].t == X1 || net[i].t == X3) && net[i].to == 1 - p -> clear(i) :: else fi; i++ :: else -> break od;
  dropHo((1-p)*NH); dropHo((1-p)*NH+1) }

inline noHo(p, b) {     /* rule ONE: no half-open handshake at p builds on b any more */
  if :: ho[p*NH].used && ho[p*NH].u == b -> dropHo(p*NH) :: else fi;
  if :: ho[p*NH+1].used && ho[p*NH+1].u == b -> dropHo(p*NH+1) :: else fi }

inline opened(p) {      /* open, or restart: A1 */
  freshAt(x);
  if :: x < ATS ->
    P[p].st = a1; P[p].at = x; P[p].u = 0; P[p].n = 0; P[p].m1 = P[p].s1; P[p].m2 = P[p].s2;
    send(X1, 1-p, x, P[p].m1, P[p].m2)
  :: else fi }

inline deliver(j) {
  q = net[j].to;
  t = net[j].t; g = net[j].at; y = net[j].u; z = net[j].v;
  if :: clear(j) :: true fi;                   /* or a copy stays */
  if
  :: t == X1 ->                                /* section 6: lookup rf1, then rf2 */
     w = NIL;
     if :: y != NIL && has(q, y) -> w = y
#ifndef RF1RF1
        :: !(y != NIL && has(q, y)) && z != NIL && has(q, z) -> w = z
#endif
        :: else fi;
     if :: w != NIL ->
#ifdef ONE
        noHo(q, w);
        if :: P[q].ss == r1 && P[q].base == w -> endSes(q) :: else fi;
#endif
        fresh(x);
        if :: x < IDS ->
           k = q*NH;
           if :: !ho[k].used :: ho[k].used -> if :: !ho[k+1].used -> k = k+1 :: ho[k+1].used -> if :: true :: k = k+1 fi fi fi;   /* evicts */
           ho[k].used = true; ho[k].at = g; ho[k].u = w; ho[k].n = x;
           send(X2, 1-q, g, w, x)
        :: else fi
     :: else fi
  :: t == X2 && P[q].st == a1 && P[q].at == g && (y == P[q].m1 || y == P[q].m2) ->
     if :: P[q].s1 == P[q].m1 && P[q].s2 == P[q].m2 ->      /* compare-and-swap to (new, used) */
           P[q].s1 = z; P[q].s2 = y; P[q].st = a3; P[q].u = y; P[q].n = z;
#ifdef ONE
           noHo(q, y);
#endif
           send(X3, 1-q, 0, z, 0)
        :: else -> endOpen(q) fi
  :: t == X3 ->
     k = NH*2;
     if :: ho[q*NH].used && ho[q*NH].n == y -> k = q*NH
        :: !(ho[q*NH].used && ho[q*NH].n == y) && ho[q*NH+1].used && ho[q*NH+1].n == y -> k = q*NH+1
        :: else fi;
     if :: k < NH*2 ->
        w = ho[k].u; dropHo(k);                              /* consumed by its first complete X3 */
        if :: has(q, w) -> P[q].s1 = y; P[q].s2 = NIL;       /* store (new, none) */
              P[q].ss = se1; P[q].base = y; P[q].nx = 0;
              send(C1, 1-q, 0, y, 0)
           :: else fi                                        /* rejected */
        :: else fi
  :: t == C1 && P[q].st == a3 && P[q].n == y ->
     if :: P[q].s1 == y && P[q].s2 == P[q].u -> P[q].s2 = NIL; endOpen(q); P[q].ss = se2; P[q].base = y; P[q].nx = 0;
           if :: done < 2 -> done++ :: else fi;
           send(C2, 1-q, 0, y, 0)
        :: else -> endOpen(q) fi
  :: t == C1 && P[q].ss == r2 && P[q].nx == y ->
     if :: P[q].s1 == y && P[q].s2 == P[q].base -> P[q].s2 = NIL; P[q].ss = se2; P[q].base = y; P[q].nx = 0;
           send(C2, 1-q, 0, y, 0)
        :: else -> endSes(q) fi
  :: t == C2 && P[q].ss == se1 && P[q].base == y -> P[q].ss = se2
#ifdef REKEY
  :: t == K1 && P[q].ss == se2 && P[q].base == y ->
     fresh(x);
     if :: x < IDS ->
        if :: P[q].s1 == y && P[q].s2 == NIL -> P[q].s1 = x; P[q].s2 = y; P[q].ss = r2; P[q].nx = x;
#ifdef ONE
              noHo(q, y);
#endif
              send(K2, 1-q, 0, y, x)
           :: else -> endSes(q) fi
        :: else fi
  :: t == K2 && P[q].ss == r1 && P[q].base == y ->
     if :: P[q].s1 == y && P[q].s2 == NIL -> P[q].s1 = z; P[q].ss = se1; P[q].base = z; P[q].nx = 0;
           send(C1, 1-q, 0, z, 0)
        :: else -> endSes(q) fi
#endif
  :: else
  fi;
  t = X1; g = 0; q = 0; w = 0; x = 0; y = 0; z = 0; k = 0 }

active proctype world() {
  byte i, k, q, w, x, y, z, g; mtype t = X1;
  d_step { P[0].s1 = 1; P[1].s1 = 1; P[0].st = idle; P[1].st = idle; P[0].ss = idle; P[1].ss = idle;
           i = 0; do :: i < 3 -> clear(i); i++ :: else -> break od; i = 0 }
  do
#ifdef REACH
  :: done == 2 -> assert(false)       /* sanity, must be reached: two sessions confirmed */
#else
  /* no lock-out */
  :: !compat(0, 1) -> assert(false)
#ifdef BOTH
  :: !compat(1, 0) -> assert(false)
#endif
#endif
  :: atomic { P[0].st == idle && P[0].ss == idle -> opened(0); x = 0; i = 0 }
#ifdef BOTH
  :: atomic { P[1].st == idle && P[1].ss == idle -> opened(1); x = 0; i = 0 }
#endif
  :: atomic { net[0].occ -> deliver(0) }
  :: atomic { net[1].occ -> deliver(1) }
#if NS > 2
  :: atomic { net[2].occ -> deliver(2) }
#endif
  :: atomic { net[0].occ -> clear(0) }
  :: atomic { net[1].occ -> clear(1) }
#if NS > 2
  :: atomic { net[2].occ -> clear(2) }
#endif
  /* resends, same bytes */
  :: atomic { P[0].st == a1 -> send(X1, 1, P[0].at, P[0].m1, P[0].m2) }
  :: atomic { P[0].st == a3 -> send(X3, 1, 0, P[0].n, 0) }
  :: atomic { P[1].ss == se1 -> send(C1, 0, 0, P[1].base, 0) }
#ifdef BOTH
  :: atomic { P[1].st == a1 -> send(X1, 0, P[1].at, P[1].m1, P[1].m2) }
  :: atomic { P[1].st == a3 -> send(X3, 0, 0, P[1].n, 0) }
#endif
  :: atomic { P[0].ss == se1 -> send(C1, 1, 0, P[0].base, 0) }
#ifdef REKEY
  :: atomic { P[0].ss == se2 -> P[0].ss = r1; send(K1, 1, 0, P[0].base, 0) }
  :: atomic { P[1].ss == se2 -> P[1].ss = r1; send(K1, 0, 0, P[1].base, 0) }
  :: atomic { P[0].ss == r2 -> send(K2, 1, 0, P[0].base, P[0].nx) }
  :: atomic { P[1].ss == r2 -> send(K2, 0, 0, P[1].base, P[1].nx) }
#endif
  /* time-outs of an attempt: restart as A1 */
  :: atomic { P[0].st == a1 || P[0].st == a3 ->
#if defined(NODELAY) || !defined(NOTIMER)
       dropHo(NH); dropHo(NH+1);
#endif
#ifdef NODELAY
       forget(0);
#endif
       endOpen(0); opened(0); x = 0; i = 0 }
#ifdef BOTH
  :: atomic { P[1].st == a1 || P[1].st == a3 ->
#if defined(NODELAY) || !defined(NOTIMER)
       dropHo(0); dropHo(1);
#endif
#ifdef NODELAY
       forget(1);
#endif
       endOpen(1); opened(1); x = 0; i = 0 }
#endif
  /* sessions end (time-out 60 s, closed) */
  :: atomic { P[0].ss != idle -> endSes(0) }
  :: atomic { P[1].ss != idle -> endSes(1) }
  /* half-open handshakes expire */
  :: atomic { ho[NH].used -> dropHo(NH) }
  :: atomic { ho[NH+1].used -> dropHo(NH+1) }
#ifdef BOTH
  :: atomic { ho[0].used -> dropHo(0) }
  :: atomic { ho[1].used -> dropHo(1) }
#endif
  /* crash, or the application closes and opens anew: everything volatile is gone */
  :: atomic { P[0].st != idle || P[0].ss != idle || ho[0].used || ho[1].used ->
       endOpen(0); endSes(0); dropHo(0); dropHo(1);
#ifdef NODELAY
       forget(0); i = 0
#endif
     }
  :: atomic { P[1].st != idle || P[1].ss != idle || ho[2].used || ho[3].used ->
       endOpen(1); endSes(1); dropHo(2); dropHo(3);
#ifdef NODELAY
       forget(1); i = 0
#endif
     }
  od
}

