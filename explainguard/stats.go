package explainguard

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Stats are a database's statistics: how many rows its tables hold, how many different values its indexes. They hold
// counts, never values, other than those histograms whose values the caller of DumpStats allowed by name. A team
// dumps them from production, commits the file, and has a Guard judge by them on an empty test database.
//
// Get them from DumpStats or ReadStats, share them by pointer, and treat them as read-only once they are in use.
type Stats struct {
	Server string // version of the server they come from
	Source string // fingerprint of that server and database, which Apply refuses to write to; not reversible
	Taken  string // when, in the caller's words; "" if the caller did not say
	Mode   Mode   // what the index statistics stand for
	Factor float64

	Tables []TableStats // sorted by name

	mu      sync.Mutex
	applied map[Conner]*place // by a Guard, see Guard.Stats
	guarded *Stats            // as a Guard applies them
}

// Mode says what the index statistics of a Stats stand for.
type Mode string

// The modes. The zero value is what DumpStats gives.
const (
	ModeDumped   Mode = ""        // the average, as production's server has it; a Guard takes BiggestGroup() of it
	ModeAverages Mode = "average" // the average, and meant so: see Averages
	ModeBiggest  Mode = "biggest" // see BiggestGroup
)

// TableStats are the statistics of one table.
type TableStats struct {
	Name       string           `json:"name"`
	Rows       int64            `json:"rows"`
	Pages      int64            `json:"pages"`       // of the clustered index
	OtherPages int64            `json:"other_pages"` // of the other indexes
	Partitions []PartitionStats `json:"partitions,omitempty"`
	Indexes    []IndexStats     `json:"indexes"`
	Histograms []Histogram      `json:"histograms,omitempty"`
}

// PartitionStats are the statistics of one partition or subpartition, by InnoDB's name for it ("p0", "p0#sp#p0sp1").
type PartitionStats struct {
	Name       string       `json:"name"`
	Rows       int64        `json:"rows"`
	Pages      int64        `json:"pages"`
	OtherPages int64        `json:"other_pages"`
	Indexes    []IndexStats `json:"indexes"` // Distinct and pages only
}

// notMeasured stands where a count is not known. It is never taken for a small one.
const notMeasured = -1

// IndexStats are the statistics of one index.
type IndexStats struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns,omitempty"` // as declared; "c(5)" for a prefix, "(expression)" for a functional part
	Unique  bool     `json:"unique,omitempty"`

	// Distinct[i] is how many different values the first i+1 columns have. After the declared columns come those of the
	// primary key, which InnoDB appends.
	Distinct []int64 `json:"distinct,omitempty"`

	// Biggest[i] is how many rows share the most frequent value of the first i+1 columns, NULL in the first excepted;
	// -1, or missing, if that was not measured. Unique indexes have none.
	Biggest []int64 `json:"biggest,omitempty"`

	Nulls     int64 `json:"nulls,omitempty"` // rows with NULL in the first column; -1 if that was not measured
	Pages     int64 `json:"pages,omitempty"`
	LeafPages int64 `json:"leaf_pages,omitempty"`
}

// Histogram is the shape of a column's histogram, and its values if the caller of DumpStats allowed them.
type Histogram struct {
	Column   string          `json:"column"`
	Type     string          `json:"type"`     // singleton or equi-height
	DataType string          `json:"data"`     // the server's word
	Buckets  int             `json:"buckets"`  //
	Nulls    float64         `json:"nulls"`    // fraction of the rows
	Greatest float64         `json:"greatest"` // the fraction of the fullest bucket
	Values   json.RawMessage `json:"values,omitempty"`
}

// statsVersion is that of the file format.
const statsVersion = 1

type statsHeader struct {
	Version int     `json:"tashikame_stats"`
	Server  string  `json:"server"`
	Source  string  `json:"source,omitempty"`
	Taken   string  `json:"taken,omitempty"`
	Mode    Mode    `json:"mode,omitempty"`
	Factor  float64 `json:"factor,omitempty"`
}

// Write writes the statistics as JSON, sorted and one index a line, so that the same statistics give the same bytes and
// a change of one index is a change of one line.
func (s *Stats) Write(w io.Writer) error {
	if err := s.validate(); err != nil {
		return fmt.Errorf("explainguard: write statistics: %w", err)
	}
	out, err := s.render()
	if err == nil {
		_, err = w.Write(out)
	}
	if err != nil {
		return fmt.Errorf("explainguard: write statistics: %w", err)
	}
	return nil
}

func (s *Stats) render() ([]byte, error) {
	var b bytes.Buffer
	put := func(v any) error {
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		err := enc.Encode(v)
		b.Truncate(b.Len() - 1) // the newline
		return err
	}
	err := put(statsHeader{statsVersion, s.Server, s.Source, s.Taken, s.Mode, s.Factor})
	b.Truncate(b.Len() - 1)
	b.WriteString(",\n\"tables\": [")
	for i, t := range s.sorted() {
		lines := t
		lines.Indexes, lines.Partitions, lines.Histograms = nil, nil, nil
		b.WriteString(separator(i) + "\n")
		err = errors.Join(err, put(lines))
		b.Truncate(b.Len() - len(`,"indexes":null}`))
		err = errors.Join(err, putList(&b, put, "partitions", t.Partitions), putList(&b, put, "indexes", t.Indexes), putList(&b, put, "histograms", t.Histograms))
		b.WriteString("}")
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), err
}

func separator(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

func putList[T any](b *bytes.Buffer, put func(any) error, name string, list []T) error {
	if len(list) == 0 && name != "indexes" {
		return nil
	}
	b.WriteString(",\"" + name + "\": [")
	for i, v := range list {
		b.WriteString(separator(i) + "\n ")
		if err := put(v); err != nil {
			return err
		}
	}
	b.WriteString("]")
	return nil
}

// ReadStats reads what Write wrote. What does not fit the format is an error that names it.
func ReadStats(r io.Reader) (*Stats, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("explainguard: read statistics: %w", err)
	}
	s, err := parseStats(text)
	if err != nil {
		return nil, fmt.Errorf("explainguard: read statistics: %w", err)
	}
	return s, nil
}

func parseStats(text []byte) (*Stats, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("the file is empty; write it with (*Stats).Write")
	}
	var version struct {
		Version *int `json:"tashikame_stats"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, fmt.Errorf("it is no JSON document (%w); write it with (*Stats).Write", err)
	}
	switch {
	case version.Version == nil:
		return nil, errors.New("it has no tashikame_stats, so it is not such a file; write it with (*Stats).Write")
	case *version.Version != statsVersion:
		return nil, fmt.Errorf("its format is version %d, and this package reads version %d; dump the statistics again", *version.Version, statsVersion)
	}
	var doc struct {
		statsHeader
		Tables []TableStats `json:"tables"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w; dump the statistics again", err)
	}
	s := &Stats{Server: doc.Server, Source: doc.Source, Taken: doc.Taken, Mode: doc.Mode, Factor: doc.Factor, Tables: doc.Tables}
	if err := s.validate(); err != nil {
		return nil, err
	}
	s.Tables = s.sorted()
	return s, nil
}

// sorted returns the tables in the order of the file. Deep inside everything is in the server's order already, or sorted by dump.
func (s *Stats) sorted() []TableStats {
	tables := slices.Clone(s.Tables)
	slices.SortFunc(tables, func(a, b TableStats) int { return cmp.Compare(a.Name, b.Name) })
	return tables
}

// validate refuses figures that no server could have.
func (s *Stats) validate() error {
	if s == nil {
		return errors.New("there are none: the Stats are nil")
	}
	if len(s.Tables) == 0 {
		return errors.New("they hold no table")
	}
	if s.Mode != ModeDumped && s.Mode != ModeAverages && s.Mode != ModeBiggest {
		return fmt.Errorf("mode %q is not known; it is empty, %q or %q", s.Mode, ModeAverages, ModeBiggest)
	}
	seen := map[string]bool{}
	for _, t := range s.Tables {
		if err := t.validate(); err != nil {
			return fmt.Errorf("table %q: %w", t.Name, err)
		}
		if seen[t.Name] {
			return fmt.Errorf("table %q is listed twice", t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}

func (t TableStats) validate() error {
	if t.Name == "" {
		return errors.New("it has no name")
	}
	if t.Rows < 0 || t.Pages < 0 || t.OtherPages < 0 {
		return fmt.Errorf("rows %d, pages %d, other_pages %d: none of them can be negative", t.Rows, t.Pages, t.OtherPages)
	}
	if err := validateIndexes(t.Indexes, true); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, p := range t.Partitions {
		if p.Name == "" || seen[p.Name] {
			return fmt.Errorf("a partition has no name, or %q is listed twice", p.Name)
		}
		seen[p.Name] = true
		if p.Rows < 0 || p.Pages < 0 || p.OtherPages < 0 {
			return fmt.Errorf("partition %q: a figure is negative", p.Name)
		}
		if err := validateIndexes(p.Indexes, false); err != nil {
			return fmt.Errorf("partition %q: %w", p.Name, err)
		}
	}
	for _, h := range t.Histograms {
		if h.Column == "" {
			return errors.New("a histogram has no column")
		}
	}
	return nil
}

func validateIndexes(list []IndexStats, withColumns bool) error {
	seen := map[string]bool{}
	for _, ix := range list {
		name := strings.ToLower(ix.Name)
		if name == "" || seen[name] {
			return fmt.Errorf("an index has no name, or %q is listed twice", ix.Name)
		}
		seen[name] = true
		if withColumns && len(ix.Columns) == 0 && ix.Name != rowIDIndex {
			return fmt.Errorf("index %q has no columns", ix.Name)
		}
		if slices.ContainsFunc(ix.Distinct, func(n int64) bool { return n < 0 }) || ix.Pages < 0 || ix.LeafPages < 0 {
			return fmt.Errorf("index %q: distinct and pages cannot be negative", ix.Name)
		}
		if slices.ContainsFunc(ix.Biggest, func(n int64) bool { return n < notMeasured }) || ix.Nulls < notMeasured {
			return fmt.Errorf("index %q: biggest and nulls are counts, or -1 for not measured", ix.Name)
		}
	}
	return nil
}

// rowIDIndex is InnoDB's clustered index of a table that declares no primary key.
const rowIDIndex = "GEN_CLUST_INDEX"

// clone returns a deep copy that no Guard has used yet.
func (s *Stats) clone() *Stats {
	c := &Stats{Server: s.Server, Source: s.Source, Taken: s.Taken, Mode: s.Mode, Factor: s.Factor, Tables: slices.Clone(s.Tables)}
	for i := range c.Tables {
		t := &c.Tables[i]
		t.Indexes, t.Partitions, t.Histograms = cloneIndexes(t.Indexes), slices.Clone(t.Partitions), slices.Clone(t.Histograms)
		for j := range t.Partitions {
			t.Partitions[j].Indexes = cloneIndexes(t.Partitions[j].Indexes)
		}
	}
	return c
}

func cloneIndexes(list []IndexStats) []IndexStats {
	out := slices.Clone(list)
	for i := range out {
		out[i].Columns, out[i].Distinct, out[i].Biggest = slices.Clone(out[i].Columns), slices.Clone(out[i].Distinct), slices.Clone(out[i].Biggest)
	}
	return out
}
