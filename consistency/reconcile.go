package consistency

import (
	"context"
	"iter"
	"time"
)

// A Source yields rows in the order of their keys, for Reconcile.
type Source interface {
	// Rows yields the rows whose key comes after the values of after (nil: from the start), in the order that Reconcile defines for the kinds of
	// the key columns, each key once. An error ends the sequence and makes the check Unknown. It must end soon after ctx does.
	Rows(ctx context.Context, after []any) iter.Seq2[Row, error]
}

// A Lookup is a Source that can also find rows by key, so that a second look reads only the suspects.
type Lookup interface {
	Source
	// Lookup yields the rows that have one of these keys, in any order; a key that it does not yield has no row.
	Lookup(ctx context.Context, keys [][]any) iter.Seq2[Row, error]
}

// Kind is how the values of a column are ordered and compared.
type Kind int

const (
	// KindAuto is the zero value: the kind is taken from what the server says about the column, never from values. A Source that cannot say must have it declared.
	// Integers and decimals agree with each other; any other two kinds that differ are an error at the start.
	KindAuto Kind = iota
	// KindInteger is a whole number of any size.
	KindInteger
	// KindDecimal is an exact number of any size; 1.50 equals 1.5. See Column.Scale.
	KindDecimal
	// KindFloat is a floating-point number. -0 equals 0, NaN equals NaN. It cannot be a key. See Column.Tolerance.
	KindFloat
	// KindText compares bytes of UTF-8 unless Column says otherwise. ENUM, SET, YEAR and TIME are text.
	KindText
	// KindBinary compares bytes.
	KindBinary
	// KindTime is an instant or a date and time; see Column.Location.
	KindTime
	// KindDate is a date without a time.
	KindDate
	// KindJSON compares what a JSON text means: not the order of members, not the form of a number (1, 1.0, 1e0) or of a string's escapes. Of a name that
	// occurs twice the last one counts, as MySQL keeps it. Numbers are compared exactly; note that MySQL stores one beyond 64 bits rounded. It cannot be a key.
	KindJSON
	// KindBool is true or false; 1 and 0 are that too, any other number is an error.
	KindBool
)

// Column is a column that Reconcile matches or compares. NULL equals NULL only.
type Column struct {
	// Name is its name on the left, and on the right unless Right says otherwise. Letter case does not matter.
	Name, Right string
	// Kind is how its values are read, on both sides. Zero: what the server says.
	Kind Kind
	// Fold compares text without regard to letter case (Unicode's simple folding; accents matter), TrimSpace without spaces at the end. In a key column they
	// decide the order as well, in which Fold is the bytes of the text in small letters.
	Fold, TrimSpace bool
	// EmptyIsNull takes '' and NULL for the same. Not in a key.
	EmptyIsNull bool
	// Scale is the number of digits after the point that are compared of a KindDecimal (rounded half away from zero, as ROUND does), and of a second of a
	// KindTime (cut off); it counts only where HasScale is true. Not in a key.
	Scale    int
	HasScale bool
	// Tolerance is how far two KindFloat values may be apart, absolutely.
	Tolerance float64
	// Location is the time zone of a KindTime whose server stores none (DATETIME). Nil: UTC. A TIMESTAMP is an instant already.
	Location *time.Location
}

// Reconcile is a Check that compares two sources by key: what is missing on the left, missing on the right, or different.
//
// Both sides are read once, side by side in the order of the key, with constant memory. A side that fails, that is out of order, or that holds a key twice or a value that
// cannot be read as its kind is an error (Unknown), never a difference. Looking again reads only the suspects, where both sides can find rows by key.
//
// The row of a violation holds the key, "difference" ("missing in <name>", or the columns that differ), and the values of both sides under <name>.<column>, long ones
// shortened. Its Content changes with the compared values, so that a row that is still being worked on is not convicted.
type Reconcile struct {
	Meta
	// Left and Right are the two sources. Required. LeftName and RightName name them in what people read; default "left" and "right".
	Left, Right         Source
	LeftName, RightName string
	// Key identifies a row on both sides; Compare are the columns that must agree. Empty Compare: only the keys are compared.
	Key, Compare []Column
	// ConfirmLeft and ConfirmRight take the second and later looks, where the first is taken on a replica or a clone. Nil: Left and Right.
	ConfirmLeft, ConfirmRight Source
	// AsOf is the moment at which a frozen side was made (a clone, a restored snapshot), by the clock of the database, better a minute too early than too late. A row that either side changed then or later,
	// by its ChangedAt column, is left out of the first look and not examined. Rows that were deleted since cannot be told by a column: therefore AsOf needs ConfirmLeft or ConfirmRight on
	// what is live. Zero: nothing is frozen.
	AsOf time.Time
	// ChangedAt is the KindTime column that says when a row last changed, on both sides. Required with AsOf.
	ChangedAt Column
	// MaxRows is the number of differing rows that are kept; all are counted. Zero: DefaultMaxRows. Rows are kept up to about 8 MiB together.
	MaxRows int
	// Digest says how two Tables are compared by digests that their servers compute. Zero: DigestFast. DigestOff reads all rows.
	Digest DigestMode
	// Checkpoints, if set, keeps how far a look has come, so that the next one goes on there after a kill or a timeout. See FileCheckpoints.
	Checkpoints Checkpoints
	// CheckpointEvery is the time between two checkpoints. Zero: 10 s. CheckpointMaxAge is the age past which one is not used any more. Zero: 24 h.
	CheckpointEvery, CheckpointMaxAge time.Duration
}

// Describe returns Meta. A column that is masked under its name on the right is masked.
func (r Reconcile) Describe() Meta {
	m := r.Meta
	for _, c := range append(append([]Column{}, r.Key...), r.Compare...) {
		if c.Right != "" && isMasked(m.Mask, c.Right) && !isMasked(m.Mask, c.Name) {
			m.Mask = append(m.Mask[:len(m.Mask):len(m.Mask)], c.Name)
		}
	}
	return m
}

// Run compares the two sources once.
func (r Reconcile) Run(ctx context.Context) (Findings, error) {
	if err := r.Validate(); err != nil {
		return Findings{}, Permanent(err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	found := newDifferences(r)
	err := r.look(ctx, found)
	if err != nil {
		return Findings{}, r.hide(err)
	}
	return found.findings()
}

func (r Reconcile) look(ctx context.Context, found *differences) error {
	if done, err := r.digestLook(ctx, found); done || err != nil {
		return err
	}
	if r.Checkpoints != nil {
		return r.resume(ctx, found)
	}
	return merge(ctx, [2]Source{r.Left, r.Right}, newMeeting(r.layout()), nil, nil, found)
}

// hide keeps masked values out of an error.
func (r Reconcile) hide(err error) error { return maskError(err, r.Describe().Mask) }
