/*
 * Leader election over one record with compare-and-set, as ParallaxHA decides it.
 *
 * What is left out and why that is sound: README.md beside this file. How to run it: Scripts/check-model.sh.
 *
 * Sizes, by -D:
 *   NODES              2 or 3 candidates
 *   LEASE, OTHER_LEASE leaseDuration of node 0 and of the others, in ticks; the same unless given
 *   STOP               stopBudget in ticks; renewDeadline is lease - STOP, the most that the timings allow
 *   EXCESS             ticks by which renewDeadline is longer than allowed: clock rates further apart than allowed for
 *   TERMS              the highest term; 1 leaves terms out, so that runs are endless
 *
 * What else takes part, by -D:
 *   NO_WIPES           the store never loses its data
 *   FENCES             a resource that leaders write to, with their fence
 *   FAILOVER           with FENCES: the store may forget the last acquisition, and clocks mean nothing: only fences are promised then
 *   PROGRESS           faults stop at some time, and a node may be dead by then; the property is at the end of this file
 *   NAGGING            with PROGRESS: operators keep sending requests after that
 *   FORGETFUL          with PROGRESS: the store keeps losing its data after that
 *
 *   WITNESS            what processes that crashed have left in the record is released by their witnesses
 *   ENDLESS_PATIENCE   with PROGRESS and WITNESS: nobody waits out the lease of a leader, so only releases help
 *
 *   LEADERS_ONLY       look for two valid leaders only; duties that run beside a leader pass
 *
 * Wrong rules, by -D, one at a time; in each of them spin must find a violation. All but the last are the cases of WrongRule in the tests
 * of the simulator, under the same names:
 *   VALIDITY_FROM_REPLY, READ_SETTLES_UNKNOWN, LATE_SUCCESS_REVIVES, RELEASE_BEFORE_JOIN, RELEASE_WITHOUT_COMPARE,
 *   PATIENCE_BY_OWN_LEASE, PATIENCE_BY_VERSION, ACQUIRE_OVER_ABSENT, REASSERT_SAME_BYTES, ELECT_SKIPS_PATIENCE,
 *   REQUEST_CREATES_RECORD, TERM_FROM_RECORD_ALONE, PATIENCE_BY_WALL_CLOCK, FENCE_BY_TERM_ALONE; with WITNESS: NOTICE_ON_SILENCE,
 *   NOTICE_FOR_ANY_INCARNATION, BLIND_NOTICE, NO_SECOND_LOOK, NOTICE_LOWERS_TERM, NOTICE_RAISES_TERM; NO_REASSERTION
 */

#ifndef NODES
#define NODES 2
#endif
#ifndef LEASE
#define LEASE 3
#endif
#ifndef OTHER_LEASE
#define OTHER_LEASE LEASE
#endif
#ifndef STOP
#define STOP 1
#endif
#ifndef EXCESS
#define EXCESS 0
#endif
#ifndef TERMS
#define TERMS 1
#endif

#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define lease_of(n) ((n) == 0 -> LEASE : OTHER_LEASE)
#define deadline_of(n) (lease_of(n) - STOP + EXCESS)

#define GHOST NODES        /* all processes that crashed, as one: what they sent may still arrive */
#define NOBODY (NODES + 1)
#define UNTIMED 255        /* patience with a record that the node has not received yet */

mtype:content = { ABSENT, BOOTSTRAP, RELEASED, HELD };
mtype:request = { NO_REQUEST, ELECT, STEP_DOWN };
mtype:role = { STANDBY, LEADING, STOPPING };
mtype:call = { NO_CALL, ACQUIRE, RENEW, RELEASE, SEIZE };

/* ---- The store: one record. A version is never used twice, so all that matters of a version is whether it is the current one. ---- */

typedef Record {
  mtype:content content = ABSENT;
  byte owner = NOBODY;
  byte term;
  byte lease;
  mtype:request request = NO_REQUEST
}
Record store;
#ifdef FAILOVER
Record before;             /* as it was before the last acquisition, if the store may still forget that */
#endif

/* ---- A node: a standby that may be campaigning, a leader, or one whose duties are being cancelled and joined. ---- */

typedef Candidate {
  mtype:role role = STANDBY;
  byte left;               /* LEADING: of its validity. STOPPING: until its duties must have ended */
  byte term;               /* LEADING: the term that it leads */
  byte patience = UNTIMED; /* left of a lease since it first received this renewal, or this bootstrap record */
  byte highest;            /* the highest term it has seen or asked for */
  mtype:call call = NO_CALL; /* SEIZE: an acquisition over an absent record, which only a wrong rule sends */
  bool acked;              /* the write succeeded and the reply is on its way; else the request is */
  byte age;                /* ticks since before it was sent */
  byte callTerm
}
Candidate node[NODES];

/*
 * Requests whose caller has given up on them, each conditional on the version that is current now: others can only be refused. Two of
 * one kind and one sender are as good as one, as the first to arrive makes the other outdated. A term, or 0 if there is none.
 */
byte lateAcquisition[NODES + 1];
byte lateRenewal[NODES + 1];
bool lateRelease;

#ifdef FENCES
/* What a leader writes to a resource, on its way there; and what the resource remembers. */
typedef FencedWrite {
  byte term;
  byte grant               /* ghost: which grant it was, counted from the beginning */
}
FencedWrite fenced[NODES];
byte grants, grantOf[NODES];

byte acceptedTerm, acceptedGrant;
byte acceptedFrom = NOBODY;
#endif

/* ---- Ghosts: what only the checks look at. ---- */

byte newest;               /* the highest term granted so far; the wall clock, as a floor for terms, is at least that */
byte ended[NODES];         /* the last term of each node that ended */
hidden byte twoValidLeaders, dutiesBesideLeader, termNotGreater, endedTermLedAgain, olderFenceAccepted, staleWriteAccepted, termNeverGranted;

#ifdef NOTICE_FOR_ANY_INCARNATION
bool died[NODES];          /* an earlier process of the node has ended */
#endif
#ifdef BLIND_NOTICE
bool noticed;              /* a release without a condition is on its way */
#endif
#ifdef NO_SECOND_LOOK
bool looked = true;        /* the witness of the last crash has looked */
#endif

#ifdef PROGRESS
bool calm;                 /* faults have stopped for good */
byte dead = NOBODY;        /* the node that did not survive them */
bool interfered;           /* an operator has sent a request, or data was lost, in this tick */
#define alive(n) (dead != (n))
#else
#define calm false
#define alive(n) true
#endif

hidden byte i, j, validity; /* scratch, never read before it is written */

/* ---- Writes. ---- */

inline end_call(n) {
  node[n].call = NO_CALL;
  node[n].acked = false;
  node[n].age = 0;
  node[n].callTerm = 0
}

#ifdef RELEASE_WITHOUT_COMPARE
#define is_refused(n) (node[n].call != NO_CALL && !node[n].acked && node[n].call != RELEASE)
#else
#define is_refused(n) (node[n].call != NO_CALL && !node[n].acked && node[n].call != SEIZE)
#endif

/* The store holds another version: whatever is under way for the one before is refused, which the sender learns at once or later. */
inline new_version() {
  for (j : 0 .. NODES - 1) {
    if
    :: is_refused(j) -> end_call(j)
    :: else
    fi
  }
  for (j : 0 .. NODES) {
    lateAcquisition[j] = 0;
    lateRenewal[j] = 0
  }
#ifndef RELEASE_WITHOUT_COMPARE
  lateRelease = false;
#endif
  j = 0
}

/* The (incarnation, term, renewal) that standbys time by is another, or there is none. */
inline new_renewal() {
  for (j : 0 .. NODES - 1) { node[j].patience = UNTIMED }
  new_version()
}

inline copy_record(to, from) {
  to.content = from.content;
  to.owner = from.owner;
  to.term = from.term;
  to.lease = from.lease;
  to.request = from.request
}

inline store_leader(writer, newTerm) {
  store.content = HELD;
  store.owner = writer;
  store.term = newTerm;
  store.lease = lease_of(writer);
  new_renewal()
}

/* This is where a term is granted, whether or not anybody ever learns of it. */
inline store_acquisition(writer, newTerm) {
#ifdef FAILOVER
  copy_record(before, store);
#endif
#if TERMS > 1
#ifndef FAILOVER
  termNotGreater = newTerm <= newest;
  assert(!termNotGreater);
#endif
  newest = MAX(newest, newTerm);
#endif
#if defined(FENCES) && !defined(FAILOVER)
  grants++;
  if
  :: writer < NODES -> grantOf[writer] = grants
  :: else
  fi;
#endif
  store.request = NO_REQUEST;
  store_leader(writer, newTerm)
}

/* A renewal keeps what others wrote. */
inline store_renewal(writer, sameTerm) {
#ifdef REASSERT_SAME_BYTES
  if
  :: store.content == ABSENT ->
    store.content = HELD;
    store.owner = writer;
    store.term = sameTerm;
    store.lease = lease_of(writer);
    new_version()
  :: else -> store_leader(writer, sameTerm)
  fi
#else
  store_leader(writer, sameTerm)
#endif
}

inline store_release() {
  store.content = RELEASED;
  store.owner = NOBODY;
  store.lease = 0;
  store.request = NO_REQUEST;
  new_renewal()
}

inline store_bootstrap(waitFor) {
  store.content = BOOTSTRAP;
  store.owner = NOBODY;
  store.term = 0;           /* the lowest that any writer, however late, may have put there: the next term grows with it */
  store.lease = waitFor;
  store.request = NO_REQUEST;
  new_renewal()
}

inline store_nothing() {
  store.content = ABSENT;
  store.owner = NOBODY;
  store.term = 0;
  store.lease = 0;
  store.request = NO_REQUEST;
#ifdef REASSERT_SAME_BYTES
  new_version()   /* the renewal may be back soon */
#else
  new_renewal()
#endif
}

/* ---- Witnesses: they know that the processes that crashed have ended. ---- */

#if defined(NOTICE_ON_SILENCE)
#define names_the_dead (store.content == HELD)
#elif defined(NOTICE_FOR_ANY_INCARNATION)
#define names_the_dead (store.content == HELD && (store.owner == GHOST || died[store.owner]))
#else
#define names_the_dead (store.content == HELD && store.owner == GHOST)
#endif
#ifdef NO_SECOND_LOOK
#define may_look (!looked)
#else
#define may_look names_the_dead
#endif

/* As the leader itself would have released it: term and transitions stay. */
inline store_notice() {
#ifdef NOTICE_LOWERS_TERM
  store.term = (store.term > 0 -> store.term - 1 : 0);
#endif
#ifdef NOTICE_RAISES_TERM
  store.term++;
#endif
#if TERMS > 1
  termNeverGranted = store.term > newest;
  assert(!termNeverGranted);
#endif
  store_release()
}

/*
 * Its write is refused unless the record that it has read is still there, so it reads and writes at one instant. It may do so at any time or
 * never, and any number of times.
 */
proctype Witness() {
  do
#if defined(BLIND_NOTICE)
  :: d_step { names_the_dead && !noticed -> noticed = true }
  :: d_step { noticed -> noticed = false; store_notice() }
#elif defined(NO_SECOND_LOOK)
  :: d_step {
      !looked -> looked = true;
      if
      :: names_the_dead -> store_notice()
      :: else
      fi
    }
#else
  :: d_step { names_the_dead -> store_notice() }
#endif
  od
}

/* ---- Steps of a node. ---- */

/* The outcome is unknown, and a reply no longer counts. The request may still arrive. */
inline give_up_call(n) {
  if
  :: node[n].acked || node[n].call == NO_CALL || node[n].call == SEIZE
  :: else ->
    if
    :: node[n].call == ACQUIRE -> lateAcquisition[n] = node[n].callTerm
    :: node[n].call == RENEW -> lateRenewal[n] = node[n].callTerm
    :: node[n].call == RELEASE -> lateRelease = true
    fi
  fi;
  end_call(n)
}

inline send(n, what, withTerm) {
  node[n].call = what;
  node[n].callTerm = withTerm
}

/* Where a violation of mutual exclusion begins, if there is one. */
inline lead(n, newValidity, newTerm) {
#if TERMS > 1 && !defined(FAILOVER)
  endedTermLedAgain = newTerm <= ended[n];
  assert(!endedTermLedAgain);
#endif
  node[n].role = LEADING;
  node[n].left = newValidity;
  node[n].term = newTerm;
#ifndef FAILOVER
  for (j : 0 .. NODES - 1) {
    if
    :: j != n && node[j].role == LEADING -> twoValidLeaders = true; assert(!twoValidLeaders)
#ifndef LEADERS_ONLY
    :: j != n && node[j].role == STOPPING -> dutiesBesideLeader = true; assert(!dutiesBesideLeader)
#endif
    :: else
    fi
  }
#endif
  j = 0
}

/* The term has ended, and with it the right to lead; duties are cancelled and have until STOP after the end of the validity. */
inline stop_leading(n) {
#ifndef LATE_SUCCESS_REVIVES
  give_up_call(n);
#endif
#if TERMS > 1 && !defined(FAILOVER)
  ended[n] = node[n].term;
#endif
  node[n].role = STOPPING;
  node[n].left = node[n].left + STOP;
  node[n].term = 0
}

inline join_duties(n) {
  node[n].role = STANDBY;
  node[n].left = 0
}

#ifdef VALIDITY_FROM_REPLY
#define validity_at_reply(n) deadline_of(n)
#else
#define validity_at_reply(n) (deadline_of(n) - node[n].age)
#endif

inline take_reply(n) {
  validity = validity_at_reply(n);
  if
  :: node[n].call == ACQUIRE && node[n].role == STANDBY -> lead(n, validity, node[n].callTerm)
  :: node[n].call == SEIZE && node[n].role == STANDBY -> lead(n, validity, node[n].callTerm)
  :: node[n].call == RENEW && node[n].role == LEADING -> node[n].left = MAX(node[n].left, validity)
#ifdef LATE_SUCCESS_REVIVES
  :: node[n].call == RENEW && node[n].role != LEADING -> lead(n, validity, node[n].callTerm)
#endif
  :: node[n].call == RELEASE
  fi;
  end_call(n)
}

#define is_own(n) (store.content == HELD && store.owner == (n))
#define is_term_of(n) (is_own(n) && store.term == node[n].term)
#define is_timed_by(n) (store.content == BOOTSTRAP || (store.content == HELD && store.owner != (n)))

#if defined(FAILOVER) || defined(PATIENCE_BY_WALL_CLOCK)
#define patience_of(n) 0   /* a clock may be as far ahead as it likes */
#elif defined(PATIENCE_BY_OWN_LEASE)
#define patience_of(n) lease_of(n)
#else
#define patience_of(n) MAX(store.lease, lease_of(n))
#endif

#ifdef ELECT_SKIPS_PATIENCE
#define is_urged (store.request == ELECT)
#else
#define is_urged false
#endif

/* max(record, memory, and over a bootstrap record the wall clock) + 1 */
#ifdef TERM_FROM_RECORD_ALONE
#define term_before(n) store.term
#else
#define term_before(n) MAX(MAX(store.term, node[n].highest), (store.content == BOOTSTRAP -> newest : 0))
#endif
#if TERMS > 1
#define next_term(n) (term_before(n) + 1)
#else
#define next_term(n) 1
#endif

/*
 * What a node may do. A read, a hint and a refusal all tell what the store holds; a step that needs to know it looks at the store
 * itself, as a write that goes by outdated knowledge is refused and changes nothing.
 */
#define may_receive(n) (alive(n) && is_timed_by(n) && node[n].patience == UNTIMED)
#define must_stop(n) (node[n].role == LEADING && \
  (store.content == RELEASED || (store.content == HELD && (!is_term_of(n) || store.request == STEP_DOWN))))
#ifdef REASSERT_SAME_BYTES
#define may_reassert (store.content == BOOTSTRAP || store.content == ABSENT)
#elif defined(NO_REASSERTION)
#define may_reassert false
#else
#define may_reassert (store.content == BOOTSTRAP)
#endif
#define may_renew(n) (node[n].role == LEADING && node[n].call == NO_CALL && \
  ((is_term_of(n) && store.request != STEP_DOWN) || may_reassert) && (!calm || node[n].left < deadline_of(n)))
#ifdef RELEASE_BEFORE_JOIN
#define may_release(n) (node[n].role != LEADING && node[n].call == NO_CALL && is_own(n))
#else
#define may_release(n) (node[n].role == STANDBY && node[n].call == NO_CALL && is_own(n))
#endif
#ifdef ENDLESS_PATIENCE
#define is_overdue(n) (store.content == BOOTSTRAP && node[n].patience == 0)
#else
#define is_overdue(n) (is_timed_by(n) && (node[n].patience == 0 || is_urged))
#endif
#define may_acquire(n) (alive(n) && node[n].role == STANDBY && node[n].call == NO_CALL && next_term(n) <= TERMS && \
  (store.content == RELEASED || is_overdue(n)))
#ifdef ACQUIRE_OVER_ABSENT
#define may_mark(n) false
#else
#define may_mark(n) (alive(n) && store.content == ABSENT)
#endif

inline remember(n, seenTerm) {
  node[n].highest = (TERMS > 1 -> seenTerm : 0)
}

proctype Node(byte n) {
  do
  :: d_step { may_receive(n) -> node[n].patience = patience_of(n) }
#if TERMS > 1
  :: d_step { store.term > node[n].highest -> remember(n, store.term) }
#endif
    /* Whoever finds nothing marks that, and so does a mark that comes late: any node may at any time. */
  :: d_step { may_mark(n) -> store_bootstrap(lease_of(n)) }
  :: d_step { may_acquire(n) -> i = next_term(n); remember(n, i); send(n, ACQUIRE, i) }
  :: d_step { may_renew(n) -> send(n, RENEW, node[n].term) }
  :: d_step { may_release(n) -> send(n, RELEASE, 0) }
  :: d_step { node[n].acked -> take_reply(n) }
  :: d_step { node[n].call != NO_CALL && !calm -> give_up_call(n) }
  :: d_step { must_stop(n) -> stop_leading(n) }
  :: d_step { node[n].role == LEADING && !calm -> stop_leading(n) }   /* unfit, withdrawn or resigned */
  :: d_step { node[n].role == STOPPING -> join_duties(n) }
#ifdef FENCES
    /* It checks that it leads, and may be paused for long before the write goes out. */
  :: d_step { node[n].role == LEADING && fenced[n].term == 0 -> fenced[n].term = node[n].term; fenced[n].grant = grantOf[n] }
#endif
#ifdef READ_SETTLES_UNKNOWN
  :: d_step { is_own(n) && node[n].role == LEADING && node[n].call == NO_CALL -> node[n].left = deadline_of(n) }
  :: d_step { is_own(n) && node[n].role == STANDBY && node[n].call == NO_CALL -> validity = deadline_of(n); lead(n, validity, store.term) }
#endif
#ifdef ACQUIRE_OVER_ABSENT
    /* Even after a whole lease, which is longer than the grace that was once proposed. */
  :: d_step { store.content == ABSENT && node[n].patience == UNTIMED -> node[n].patience = lease_of(n) }
  :: d_step { store.content == ABSENT && node[n].patience == 0 && node[n].role == STANDBY && node[n].call == NO_CALL -> send(n, SEIZE, 1) }
#endif
  od
}

/* Carries the requests of one node: late, in any order, or never; a reply that is lost is a call that the node gives up. */
proctype Wire(byte n) {
  do
  :: d_step { node[n].call == ACQUIRE && !node[n].acked -> node[n].acked = true; store_acquisition(n, node[n].callTerm) }
  :: d_step { node[n].call == RENEW && !node[n].acked -> node[n].acked = true; store_renewal(n, node[n].callTerm) }
  :: d_step { node[n].call == RELEASE && !node[n].acked -> node[n].acked = true; store_release() }
#ifdef ACQUIRE_OVER_ABSENT
  :: d_step { node[n].call == SEIZE && !node[n].acked && store.content == ABSENT -> node[n].acked = true; store_acquisition(n, 1) }
#endif
  od
}

/* Brings requests that were given up long ago. */
proctype LatePackets(byte n) {
  do
  :: d_step { lateAcquisition[n] != 0 -> i = lateAcquisition[n]; store_acquisition(n, i) }
  :: d_step { lateRenewal[n] != 0 -> i = lateRenewal[n]; store_renewal(n, i) }
  :: d_step { n == GHOST && lateRelease -> lateRelease = false; store_release() }
  od
}

/* ---- Time: all clocks advance together; a node may do nothing for any number of ticks. ---- */

#define is_busy(n) (node[n].call != NO_CALL || node[n].role == STOPPING || may_receive(n) || must_stop(n) || may_renew(n) || \
  may_release(n) || may_acquire(n) || may_mark(n))
/* Once faults have stopped, whatever can be done takes no time to speak of. */
#define may_tick(n) (!calm || !is_busy(n))
#ifdef WITNESS
#define witness_may_tick (!calm || !may_look)
#else
#define witness_may_tick true
#endif
#if NODES == 2
#define all_may_tick (may_tick(0) && may_tick(1) && witness_may_tick)
#else
#define all_may_tick (may_tick(0) && may_tick(1) && may_tick(2) && witness_may_tick)
#endif

inline tick(n) {
  if
  :: node[n].patience != UNTIMED && node[n].patience > 0 -> node[n].patience--
  :: else
  fi;
  if
  :: node[n].call != NO_CALL && node[n].call != RELEASE ->
    node[n].age++;
    if
    :: node[n].age >= deadline_of(n) -> give_up_call(n)   /* each call's time-out is shorter than renewDeadline */
    :: else
    fi
  :: else
  fi;
  if
  :: node[n].role != STANDBY -> node[n].left--
  :: else
  fi;
  if
  :: node[n].role == LEADING && node[n].left == 0 -> stop_leading(n)
  :: else
  fi;
  if
  :: node[n].role == STOPPING && node[n].left == 0 -> join_duties(n)   /* they honor cancellation */
  :: else
  fi
}

proctype Clock() {
  do
  :: d_step {
      all_may_tick ->
      for (i : 0 .. NODES - 1) { tick(i) }
#ifdef PROGRESS
      interfered = false
#endif
    }
  od
}

/* ---- Operators: requests that are written into the record. ---- */

#ifdef NAGGING
#define may_ask (!calm || !interfered)
#else
#define may_ask (!calm)
#endif

inline ask(what) {
  store.request = what;
#ifdef PROGRESS
  interfered = calm;
#endif
#ifdef PATIENCE_BY_VERSION
  new_renewal()
#else
  new_version()
#endif
}

proctype Operator() {
  do
  :: d_step { may_ask && store.content == HELD -> ask(ELECT) }
  :: d_step { may_ask && store.content == HELD -> ask(STEP_DOWN) }
  :: d_step { may_ask && store.content == RELEASED -> ask(NO_REQUEST) }   /* there is nothing left to ask for, but a new version */
#ifdef REQUEST_CREATES_RECORD
  :: d_step { may_ask && store.content == ABSENT -> store_release() }
#endif
  od
}

/* ---- Faults. ---- */

/* The process dies and another begins under the same id, which knows nothing. What the first one sent may still arrive. */
inline crash(n) {
  give_up_call(n);
  if
  :: lateAcquisition[n] != 0 -> lateAcquisition[GHOST] = lateAcquisition[n]; lateAcquisition[n] = 0
  :: else
  fi;
  if
  :: lateRenewal[n] != 0 -> lateRenewal[GHOST] = lateRenewal[n]; lateRenewal[n] = 0
  :: else
  fi;
  if
  :: is_own(n) -> store.owner = GHOST
  :: else
  fi;
#ifdef NOTICE_FOR_ANY_INCARNATION
  died[n] = true;
#endif
#ifdef NO_SECOND_LOOK
  looked = false;
#endif
  node[n].role = STANDBY;
  node[n].left = 0;
  node[n].term = 0;
  node[n].patience = UNTIMED;
  node[n].highest = 0;
  ended[n] = 0
}

proctype Crash(byte n) {
  do
  :: d_step { !calm -> crash(n) }
#ifdef PROGRESS
  :: d_step { !calm -> crash(n); dead = n; calm = true }
#endif
  od
}

#ifdef FORGETFUL
#define may_forget (!calm || !interfered)
#elif defined(NO_WIPES)
#define may_forget false
#else
#define may_forget (!calm)
#endif

proctype DataLoss() {
  do
  :: d_step {
      may_forget && store.content != ABSENT ->
#ifdef PROGRESS
      interfered = calm;
#endif
      store_nothing()
    }
#ifdef PROGRESS
  :: d_step { !calm -> calm = true }
#endif
#ifdef FAILOVER
  :: d_step { before.content != ABSENT -> copy_record(store, before); before.content = ABSENT; new_renewal() }
#endif
  od
}

/* ---- A resource that remembers the highest fence, and the writes on their way to it. ---- */

#ifdef FENCES
#ifdef FENCE_BY_TERM_ALONE
#define is_admitted(n) (fenced[n].term >= acceptedTerm)
#else
#define is_admitted(n) (fenced[n].term > acceptedTerm || (fenced[n].term == acceptedTerm && acceptedFrom == (n)))
#endif

proctype Resource(byte n) {
  do
  :: d_step {
      fenced[n].term != 0 ->
      if
      :: is_admitted(n) ->
        olderFenceAccepted = fenced[n].term < acceptedTerm || (fenced[n].term == acceptedTerm && acceptedFrom != n);
        assert(!olderFenceAccepted);
#ifndef FAILOVER
        staleWriteAccepted = fenced[n].grant < acceptedGrant;
        assert(!staleWriteAccepted);
#endif
        acceptedTerm = fenced[n].term;
        acceptedFrom = n;
        acceptedGrant = fenced[n].grant
      :: else
      fi;
      fenced[n].term = 0;
      fenced[n].grant = 0
    }
  od
}
#endif

init {
  atomic {
    for (i : 0 .. NODES - 1) {
      run Node(i);
      run Wire(i);
      run LatePackets(i);
#ifndef FAILOVER
      run Crash(i);
#endif
#ifdef FENCES
      run Resource(i)
#endif
    }
    run LatePackets(GHOST);
#ifdef WITNESS
    run Witness();
#endif
#ifndef FAILOVER
    run Clock();
#endif
    run Operator();
    run DataLoss()
  }
}

#ifdef PROGRESS
#define somebody_leads (node[0].role == LEADING || node[1].role == LEADING)
#if defined(NAGGING)
/* However often operators ask, a leader that is gone or told to go has a successor. */
ltl progress { [] (calm -> <> somebody_leads) }
#elif defined(FORGETFUL)
/* However often the store loses its data, a leader stays. */
ltl progress { [] (calm -> ([] <> somebody_leads -> <> [] somebody_leads)) }
#else
/* Somebody leads, and stays. */
ltl progress { [] (calm -> <> [] somebody_leads) }
#endif
#endif
