package consistency

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// ledgerServers are the servers on which the Ledger is tested.
var ledgerServers = map[string]func(servers.TB) *servers.MySQLServer{"mysql": servers.MySQL, "mariadb": servers.MariaDB}

func onLedgerServers(t *testing.T, f func(t *testing.T, database func() *sql.DB)) {
	for name, server := range ledgerServers {
		t.Run(name, func(t *testing.T) {
			f(t, func() *sql.DB { return server(t).DB })
		})
	}
}

// eventStream is a healthy stream of events in three databases: 40 events of 4 aggregates, each published 1 s and consumed 2 s after its request.
type eventStream struct {
	requests, publications, consumptions *sql.DB
	start                                time.Time
}

const streamEvents = 40

// emptyStream has the tables and no event.
func emptyStream(t *testing.T, database func() *sql.DB) *eventStream {
	s := &eventStream{database(), database(), database(), time.Now().UTC().Add(-2 * time.Hour).Truncate(time.Second)}
	exec(t, s.requests, `CREATE TABLE outboxevent (id CHAR(36) PRIMARY KEY, aggregatetype VARCHAR(255) NOT NULL, aggregateid VARCHAR(255) NOT NULL, type VARCHAR(255) NOT NULL,
		payload JSON, seq BIGINT, created_at DATETIME(6), KEY (created_at), KEY (aggregatetype, aggregateid, seq))`)
	exec(t, s.publications, `CREATE TABLE published (n INT AUTO_INCREMENT PRIMARY KEY, event_id BINARY(16) NOT NULL, at_ms BIGINT NOT NULL, KEY (event_id), KEY (at_ms))`)
	exec(t, s.consumptions, `CREATE TABLE consumed (n INT AUTO_INCREMENT PRIMARY KEY, consumer VARCHAR(40), event_id CHAR(36) COLLATE utf8mb4_bin, at TIMESTAMP(3) NULL, KEY (event_id), KEY (at))`)
	return s
}

func newStream(t *testing.T, database func() *sql.DB) *eventStream {
	s := emptyStream(t, database)
	for i := range streamEvents {
		s.request(t, i)
		s.publish(t, i, s.at(i).Add(time.Second))
		s.consume(t, "billing", i, s.at(i).Add(2*time.Second))
		s.consume(t, "mail", i, s.at(i).Add(2*time.Second))
	}
	return s
}

func (s *eventStream) at(i int) time.Time { return s.start.Add(time.Duration(i) * time.Minute / 4) }

func streamID(i int) string { return fmt.Sprintf("018f0000-aaaa-7bbb-8ccc-%012d", i) }

func (s *eventStream) request(t *testing.T, i int) {
	_, err := s.requests.Exec("INSERT INTO outboxevent VALUES (?, 'Order', ?, 'OrderCreated', '{}', ?, ?)", streamID(i), fmt.Sprintf("注文%d", i%4), i, s.at(i).Format("2006-01-02 15:04:05.000000"))
	if err != nil {
		t.Error(err) // the writers of a test call this too
	}
}

func (s *eventStream) publish(t *testing.T, i int, at time.Time) {
	_, err := s.publications.Exec("INSERT INTO published (event_id, at_ms) VALUES (UNHEX(REPLACE(?, '-', '')), ?)", streamID(i), at.UnixMilli())
	if err != nil {
		t.Error(err) // the writers of a test call this too
	}
}

func (s *eventStream) consume(t *testing.T, consumer string, i int, at time.Time) {
	_, err := s.consumptions.Exec("INSERT INTO consumed (consumer, event_id, at) VALUES (?, ?, FROM_UNIXTIME(?))", consumer, strings.ToUpper(streamID(i)), fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000))
	if err != nil {
		t.Error(err) // the writers of a test call this too
	}
}

func (s *eventStream) ledger() Ledger {
	log := EventLog{DB: s.consumptions, Table: "consumed", At: "at"}
	return Ledger{
		Meta:      Meta{Name: "order-events", Retry: fast},
		Requested: EventLog{DB: s.requests, Table: "outboxevent", At: "created_at", Sequence: "seq"},
		Published: EventLog{DB: s.publications, Table: "published", IDs: IDBinaryUUID, At: "at_ms", Times: TimeUnixMillis},
		Consumers: []Consumer{{Name: "billing", Log: log, Column: "consumer"}, {Name: "mail", Log: log, Column: "consumer"}},
		Within:    time.Minute, Back: 4 * time.Hour,
	}
}

func ledgerKeys(vs []Violation) []string {
	keys := []string{}
	for _, v := range vs {
		keys = append(keys, v.Key)
	}
	slices.Sort(keys)
	return keys
}

func TestLedgerFindsEachPlantedFaultAndNoOther(t *testing.T) {
	onLedgerServers(t, func(t *testing.T, database func() *sql.DB) {
		s := newStream(t, database)
		r := runOne(t.Context(), t, s.ledger())
		require.Equal(t, Consistent, r.Outcome, r.Headline())
		require.Equal(t, int64(4*streamEvents), r.Examined)
		require.Len(t, r.Notes, 3)
		require.Equal(t, "publication took p50 1s, p99 1s, at most 1s (40 events)", r.Notes[0])
		require.Equal(t, "delivery to billing took p50 1s, p99 1s, at most 1s (40 events)", r.Notes[1])

		exec(t, s.publications, "DELETE FROM published WHERE event_id = UNHEX(REPLACE('"+streamID(3)+"', '-', ''))")
		exec(t, s.consumptions, "DELETE FROM consumed WHERE event_id = '"+streamID(3)+"'") // bin collation: nothing, the ids are upper case
		exec(t, s.consumptions, "DELETE FROM consumed WHERE event_id = UPPER('"+streamID(3)+"')")
		exec(t, s.consumptions, "DELETE FROM consumed WHERE event_id = UPPER('"+streamID(5)+"') AND consumer = 'mail'")
		s.consume(t, "billing", 7, s.at(7).Add(time.Hour))
		s.publish(t, 101, s.start)                                                                                                                    // no request; nobody consumes it either
		s.consume(t, "mail", 102, s.start)                                                                                                            // never published
		exec(t, s.consumptions, "UPDATE consumed SET at = at + INTERVAL 3 MINUTE WHERE event_id = UPPER('"+streamID(8)+"') AND consumer = 'billing'") // 12 and 16 overtake it
		exec(t, s.publications, fmt.Sprintf("UPDATE published SET at_ms = %d WHERE event_id = UNHEX(REPLACE('%s', '-', ''))", s.at(20).Add(90*time.Second).UnixMilli(), streamID(20)))
		s.publish(t, 30, s.at(30).Add(2*time.Second)) // at least once is no fault
		want := []string{
			"consumed-twice," + streamID(7) + ",billing",
			"consumed-unpublished," + streamID(102) + ",mail",
			"never-consumed," + streamID(5) + ",mail",
			"never-consumed," + streamID(101) + ",billing",
			"never-consumed," + streamID(101) + ",mail",
			"never-published," + streamID(3),
			"never-requested," + streamID(101),
			"out-of-order," + streamID(12) + ",billing," + streamID(8),
			"out-of-order," + streamID(16) + ",billing," + streamID(8),
			"out-of-order," + streamID(24) + `,"",` + streamID(20),
		}
		slices.Sort(want)
		check := s.ledger()
		r = runOne(t.Context(), t, check)
		require.Equal(t, Inconsistent, r.Outcome, r.Headline())
		require.Equal(t, want, ledgerKeys(r.Violations))
		require.Equal(t, 2, r.Attempts)
		f, err := check.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, []Count{{NeverPublished, 1}, {NeverConsumed, 3}, {ConsumedTwice, 1}, {NeverRequested, 1}, {ConsumedUnpublished, 1}, {OutOfOrder, 3}}, f.Breakdown)
		for _, v := range r.Violations {
			switch v.Key {
			case "consumed-twice," + streamID(7) + ",billing":
				require.Equal(t, Row{{"problem", ConsumedTwice}, {"event_id", streamID(7)}, {"aggregate_type", nil}, {"aggregate_id", nil}, {"type", nil}, {"consumer", "billing"},
					{"since", s.at(7).Add(time.Hour).Format(time.RFC3339)}, {"other_event", nil}, {"detail", "consumed 2 times by billing"}}, v.Row)
			case "never-published," + streamID(3):
				require.Equal(t, Row{{"problem", NeverPublished}, {"event_id", streamID(3)}, {"aggregate_type", "Order"}, {"aggregate_id", "注文3"}, {"type", "OrderCreated"}, {"consumer", nil},
					{"since", s.at(3).Format(time.RFC3339)}, {"other_event", nil}, {"detail", "requested, and not in the publication history"}}, v.Row)
			case "out-of-order," + streamID(12) + ",billing," + streamID(8):
				other, _ := v.Row.Get("other_event")
				require.Equal(t, streamID(8), other)
			}
		}

		// What is repaired is no longer returned; the rest is, also when it has grown too old for Run.
		check.Back, check.AsOf = 2*time.Hour, time.Now().Add(48*time.Hour)
		s.publish(t, 3, time.Now())
		s.publish(t, 102, time.Now())
		s.request(t, 101)
		s.consume(t, "mail", 5, time.Now())
		check.Consumers[0].Replays = []Replay{{From: s.at(7).Add(time.Minute), Until: s.at(7).Add(2 * time.Hour), Reason: "offset rewound"}}
		exec(t, s.consumptions, "UPDATE consumed SET at = at - INTERVAL 3 MINUTE WHERE event_id = UPPER('"+streamID(8)+"') AND consumer = 'billing'")
		bare := make([]Violation, len(r.Violations)) // a Store may have kept the keys only
		for i, v := range r.Violations {
			bare[i].Key = v.Key
		}
		still, err := check.Recheck(t.Context(), bare)
		require.NoError(t, err)
		require.Equal(t, []string{"never-consumed," + streamID(101) + ",billing", "never-consumed," + streamID(101) + ",mail", "out-of-order," + streamID(24) + `,"",` + streamID(20)}, ledgerKeys(still))
	})
}

func TestLedgerReplayExplainsOneMoreConsumption(t *testing.T) {
	s := newStream(t, func() *sql.DB { return servers.MySQL(t).DB })
	check := s.ledger()
	rewound := s.at(streamEvents).Add(10 * time.Minute)
	for i := range streamEvents {
		s.consume(t, "mail", i, rewound.Add(time.Duration(i)*time.Second))
	}
	r := runOne(t.Context(), t, check)
	require.Equal(t, int64(streamEvents), r.Total)
	check.Consumers[1].Replays = []Replay{{From: rewound, Until: rewound.Add(time.Hour)}}
	r = runOne(t.Context(), t, check)
	require.Equal(t, Consistent, r.Outcome, r.Headline())
	s.consume(t, "mail", 1, rewound.Add(time.Minute)) // twice within the replay
	r = runOne(t.Context(), t, check)
	require.Equal(t, []string{"consumed-twice," + streamID(1) + ",mail"}, ledgerKeys(r.Violations))
	detail, _ := r.Violations[0].Row.Get("detail")
	require.Equal(t, "consumed 3 times by mail; the declared replays explain 1 of them", detail)
}

func TestLedgerOfADrainedOutbox(t *testing.T) {
	s := newStream(t, func() *sql.DB { return servers.MySQL(t).DB })
	outbox := s.ledger().Requested
	outbox.Drained, outbox.Sequence = true, ""
	check := Ledger{Meta: Meta{Name: "outbox", Retry: fast}, Requested: outbox, Within: time.Minute, Back: 4 * time.Hour}
	exec(t, s.requests, "DELETE FROM outboxevent WHERE seq <> 4")
	r := runOne(t.Context(), t, check)
	require.Equal(t, []string{"never-published," + streamID(4)}, ledgerKeys(r.Violations))

	// With a publication history it is published, and its absence elsewhere says nothing.
	full := s.ledger()
	full.Requested = outbox
	r = runOne(t.Context(), t, full)
	require.Equal(t, Consistent, r.Outcome, r.Headline())

	exec(t, s.requests, "DELETE FROM outboxevent")
	r = runOne(t.Context(), t, check)
	require.Equal(t, Consistent, r.Outcome, r.Headline())
	require.Equal(t, int64(-1), r.Examined)
}

func TestLedgerOverNoEventsIsUnknown(t *testing.T) {
	s := newStream(t, func() *sql.DB { return servers.MySQL(t).DB })
	check := s.ledger()
	check.Back = time.Hour
	r := runOne(t.Context(), t, check)
	require.Equal(t, Unknown, r.Outcome)
	require.Contains(t, r.Reason, "looked at nothing")
}

func TestLedgerKeepAndSinceAndTypes(t *testing.T) {
	s := newStream(t, func() *sql.DB { return servers.MySQL(t).DB })
	exec(t, s.requests, "DELETE FROM outboxevent WHERE seq < 20") // retention
	check := s.ledger()
	require.Equal(t, int64(20), runOne(t.Context(), t, check).Total)
	check.Requested.Keep = time.Since(s.at(20)) + check.Within
	require.Equal(t, Consistent, runOne(t.Context(), t, check).Outcome)
	check.Requested.Keep = 0
	check.Since = s.at(20)
	require.Equal(t, Consistent, runOne(t.Context(), t, check).Outcome)

	// A consumer of other events, and one that began later. Without a publication history the requests say what should be consumed.
	check.Published = EventLog{}
	check.Consumers = append(check.Consumers, Consumer{Name: "stock", Log: check.Consumers[0].Log, Column: "consumer", Types: []string{"StockMoved"}})
	require.Equal(t, Consistent, runOne(t.Context(), t, check).Outcome)
	check.Consumers[2].Types = nil
	require.Equal(t, int64(20), runOne(t.Context(), t, check).Total)
	check.Consumers[2].Since = s.at(30)
	require.Equal(t, int64(10), runOne(t.Context(), t, check).Total)
}

func TestLedgerWithPublishedInTheOutboxAndDatetimeInTokyo(t *testing.T) {
	db := servers.MySQL(t).DB
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	require.NoError(t, err)
	exec(t, db, "CREATE TABLE `送信箱` (id BIGINT UNSIGNED PRIMARY KEY, created_at DATETIME, published_at DATETIME NULL)")
	now := time.Now().In(tokyo)
	for i, published := range []any{now.Add(-50 * time.Minute).Format(time.DateTime), nil} {
		_, err := db.Exec("INSERT INTO `送信箱` VALUES (?, ?, ?)", uint64(1<<63)+uint64(i), now.Add(-time.Hour).Format(time.DateTime), published)
		require.NoError(t, err)
	}
	log := EventLog{DB: db, Table: "送信箱", ID: "id", Location: tokyo, AggregateType: NoColumn, AggregateID: NoColumn, Type: NoColumn}
	check := Ledger{Meta: Meta{Name: "x", Retry: fast}, Requested: log, Published: log}
	check.Requested.At, check.Published.At = "created_at", "published_at"
	r := runOne(t.Context(), t, check)
	require.Equal(t, []string{"never-published,9223372036854775809"}, ledgerKeys(r.Violations), r.Reason)
	require.Equal(t, []string{"publication took p50 10m0s, p99 10m0s, at most 10m0s (1 event)", "the first look found 1 never-published"}, r.Notes)
	require.Equal(t, int64(3), r.Examined)
}

func TestLedgerSwappedUUIDs(t *testing.T) {
	db := servers.MySQL(t).DB
	id := "6ccd780c-baba-1026-9564-5b8c656024db"
	var stored []byte
	require.NoError(t, db.QueryRow("SELECT UUID_TO_BIN(?, 1)", id).Scan(&stored))
	log := &ledgerLog{EventLog: EventLog{IDs: IDSwappedUUID}}
	got, err := log.canonicalID(stored)
	require.NoError(t, err)
	require.Equal(t, id, got)
	back, err := log.stored(id)
	require.NoError(t, err)
	require.Equal(t, []any{stored}, back)
}

func TestLedgerTellsWhatItCannotRead(t *testing.T) {
	s := newStream(t, func() *sql.DB { return servers.MySQL(t).DB })
	for want, change := range map[string]func(*Ledger){
		"say in EventLog.IDs how it holds the id": func(l *Ledger) { l.Published.IDs = IDAuto },
		"say in EventLog.Times what it counts":    func(l *Ledger) { l.Published.Times = TimeAuto },
		"which EventLog.Times contradicts":        func(l *Ledger) { l.Requested.Times = TimeUnixMicros },
		"check the table name":                    func(l *Ledger) { l.Requested.Table = "outbox" },
		"correct the column name":                 func(l *Ledger) { l.Requested.At = "creatd_at" },
		"needs DATETIME, TIMESTAMP or an integer": func(l *Ledger) { l.Requested.At = "payload" },
		"holds a value that is no UUID":           func(l *Ledger) { l.Requested.ID, l.Requested.Where = "type", "seq = 1" },
	} {
		check := s.ledger()
		change(&check)
		r := runOne(t.Context(), t, check)
		require.Equal(t, Unknown, r.Outcome, want)
		require.Contains(t, r.Reason, want)
		require.Equal(t, 1, r.Errors, "trying again cannot help: %s", want)
	}
}

func TestLedgerValidate(t *testing.T) {
	db := &sql.DB{}
	log := EventLog{DB: db, Table: "t", At: "at"}
	good := Ledger{Requested: log, Published: log, Consumers: []Consumer{{Name: "a", Log: log}}}
	require.NoError(t, good.Validate())
	for want, change := range map[string]func(*Ledger){
		"neither Requested nor Published":                 func(l *Ledger) { l.Requested, l.Published = EventLog{}, EventLog{} },
		"nothing to hold against it":                      func(l *Ledger) { l.Requested, l.Consumers = EventLog{}, nil },
		"nobody knows what the Consumers should":          func(l *Ledger) { l.Requested.Drained, l.Published = true, EventLog{} },
		"cannot show the order":                           func(l *Ledger) { l.Requested.Drained, l.Requested.Sequence = true, "seq" },
		"only Requested can be":                           func(l *Ledger) { l.Published.Drained = true },
		"the Ledger's Requested: DB is nil":               func(l *Ledger) { l.Requested.DB = nil },
		"the Ledger's Published: Table is empty":          func(l *Ledger) { l.Published.Table = "" },
		"the Ledger's Consumers[0].Log: At is empty":      func(l *Ledger) { l.Consumers[0].Log.At = "" },
		"Ledger.Consumers[0]: Name is empty":              func(l *Ledger) { l.Consumers[0].Name = "" },
		"Consumers[0] has the same Name":                  func(l *Ledger) { l.Consumers = append(l.Consumers, l.Consumers[0]) },
		"Types needs the column Published.Type":           func(l *Ledger) { l.Consumers[0].Types = []string{"x"} },
		"Replays[0] ends before it begins":                func(l *Ledger) { l.Consumers[0].Replays = []Replay{{}} },
		"must be longer than Ledger.Within":               func(l *Ledger) { l.Back = time.Minute },
		"Ledger.Within is -1s":                            func(l *Ledger) { l.Within = -time.Second },
		"longer than twice Within":                        func(l *Ledger) { l.Requested.Keep = 15 * time.Minute },
		"Sequence needs AggregateID":                      func(l *Ledger) { l.Published.Sequence = "seq" },
		"Args is set but Where is empty":                  func(l *Ledger) { l.Published.Args = []any{1} },
		"the Ledger's Published: Where":                   func(l *Ledger) { l.Published.Where = "1 = 1) INTO OUTFILE 'x' -- " },
		"hides event_id but not other_event":              func(l *Ledger) { l.Mask = []string{"event_id"} },
		"a row of a Ledger has only the columns":          func(l *Ledger) { l.Mask = []string{"email"} },
		"Ledger.MaxRows is -1":                            func(l *Ledger) { l.MaxRows = -1 },
		"IDs is 9, which is no IDKind":                    func(l *Ledger) { l.Published.IDs = 9 },
		"the Ledger's Requested: Times is 9, which is no": func(l *Ledger) { l.Requested.Times = 9 },
	} {
		bad := good
		bad.Consumers = slices.Clone(good.Consumers)
		change(&bad)
		require.ErrorContains(t, bad.Validate(), want)
	}
}

func TestLedgerMasks(t *testing.T) {
	s := newStream(t, func() *sql.DB { return servers.MySQL(t).DB })
	exec(t, s.publications, "DELETE FROM published WHERE event_id = UNHEX(REPLACE('"+streamID(3)+"', '-', ''))")
	check := s.ledger()
	check.Consumers = nil
	check.Mask = []string{"Aggregate_ID", "event_id", "other_event"}
	r := runOne(t.Context(), t, check)
	require.Equal(t, []string{"never-published,***"}, ledgerKeys(r.Violations))
	require.NotContains(t, fmt.Sprint(r.Violations), "注文")
	_, err := check.Recheck(t.Context(), r.Violations)
	require.ErrorContains(t, err, "Meta.Mask hides event_id")
	check.Requested.IDs, check.Requested.ID = IDUUID, "aggregateid"
	r = runOne(t.Context(), t, check)
	require.NotContains(t, r.Reason+fmt.Sprint(r.Err), "注文")
}

func TestLedgerCapIsCountedAndFlat(t *testing.T) {
	s := newStream(t, func() *sql.DB { return servers.MySQL(t).DB })
	exec(t, s.publications, "DELETE FROM published")
	check := s.ledger()
	check.MaxRows = 7
	f, err := check.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, f.Violations, 7)
	require.Equal(t, int64(3*streamEvents), f.Total) // never published, and consumed unpublished by each of two
}

// TestLedgerTransientStreamIsNotConvicted runs the check while events are on their way, and one of them is lost.
func TestLedgerTransientStreamIsNotConvicted(t *testing.T) {
	t.Parallel()
	onLedgerServers(t, func(t *testing.T, database func() *sql.DB) {
		s := newStream(t, database)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		halt := sync.OnceFunc(func() { close(stop); wg.Wait() })
		defer halt()
		const lost = 100_003
		for w := range 4 {
			wg.Go(func() {
				for i := 100_000 + w; ; i += 4 {
					select {
					case <-stop:
						return
					default:
					}
					at := time.Now().UTC()
					_, err := s.requests.Exec("INSERT INTO outboxevent VALUES (?, 'Order', ?, 'OrderCreated', '{}', ?, ?)", streamID(i), fmt.Sprint("w", w), i, at.Format("2006-01-02 15:04:05.000000"))
					if err != nil {
						t.Error(err)
						return
					}
					if i == lost {
						continue
					}
					time.Sleep(200 * time.Millisecond) // longer than Within below, so that only looking again clears it
					s.publish(t, i, time.Now())
					time.Sleep(200 * time.Millisecond)
					s.consume(t, "billing", i, time.Now())
					s.consume(t, "mail", i, time.Now())
				}
			})
		}
		check := s.ledger()
		check.Within = time.Millisecond
		check.Retry = &Retry{Attempts: 3, Delay: time.Second}
		healed := int64(0)
		for range 3 {
			time.Sleep(100 * time.Millisecond)
			r := runOne(t.Context(), t, check)
			require.Equal(t, []string{"never-published," + streamID(lost)}, ledgerKeys(r.Violations), r.Reason)
			healed += r.Healed.Rows
		}
		halt()
		require.Positive(t, healed, "nothing was on its way: the test says nothing")
	})
}
