package explainguard

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
)

// standing is what was applied to a database: the statistics, fitted to the tables that are there.
type standing struct {
	schema    string
	foldsCase bool
	stats     *Stats
	kind      int64 // of the statistics, see newMark
	tables    []*fitted
	unfit     []Reason
}

type fitted struct {
	declared *declared
	stats    *TableStats
	indexes  []fittedIndex
}

type fittedIndex struct {
	*declaredIndex
	stats   *IndexStats // nil: the statistics do not tell about this index
	parts   int         // how many prefixes InnoDB counts
	appends []string    // the columns of the primary key after the declared ones, for the description
}

func (st *standing) table(schema, name string) *fitted {
	if st == nil {
		return nil
	}
	if schema != "" && schema != st.schema && (!st.foldsCase || !strings.EqualFold(schema, st.schema)) {
		return nil
	}
	for _, t := range st.tables {
		if t.declared.name == name || st.foldsCase && strings.EqualFold(t.declared.name, name) {
			return t
		}
	}
	return nil
}

// fit matches statistics with what a database declares: tables by name, indexes by their columns.
func (s *Stats) fit(c *catalogue) *standing {
	st := &standing{schema: c.schema, foldsCase: c.foldsCase, stats: s, kind: s.kind()}
	for i := range s.Tables {
		t := &s.Tables[i]
		d := c.table(t.Name)
		if d == nil {
			st.unfit = append(st.unfit, Reason{What: "the statistics tell of table " + t.Name + ", which is not here",
				WayOut: "run the migrations first, or dump the statistics again"})
			continue
		}
		f := &fitted{declared: d, stats: t}
		for j := range d.indexes {
			ix := fittedIndex{declaredIndex: &d.indexes[j], stats: t.index(&d.indexes[j])}
			ix.appends = d.appended(ix.declaredIndex)
			ix.parts = len(ix.columns) + len(ix.appends)
			if ix.stats == nil {
				st.unfit = append(st.unfit, Reason{What: unknownIndex(t.Name, ix.name), WayOut: unknownIndexWayOut})
			}
			f.indexes = append(f.indexes, ix)
		}
		st.tables = append(st.tables, f)
	}
	for _, d := range c.tables {
		if st.table(c.schema, d.name) == nil {
			st.unfit = append(st.unfit, Reason{What: "the statistics do not tell of table " + d.name, WayOut: "dump them again once production has it"})
		}
	}
	return st
}

func unknownIndex(table, index string) string {
	return "the statistics do not tell of index " + index + " of table " + table
}

const unknownIndexWayOut = "dump the statistics again from a database that has the index"

// index returns the statistics for an index with these columns, by whatever name; nil if there are none. The leading columns of a
// longer index serve as well.
func (t *TableStats) index(d *declaredIndex) *IndexStats {
	var found *IndexStats
	for i := range t.Indexes {
		ix := &t.Indexes[i]
		if len(ix.Distinct) < len(d.columns) || !sameColumns(ix.Columns, d.columns) {
			continue
		}
		switch {
		case len(ix.Columns) == len(d.columns) && ix.Unique == d.unique && strings.EqualFold(ix.Name, d.name):
			return ix
		case len(ix.Columns) == len(d.columns) && ix.Unique == d.unique:
			found = ix
		case found == nil && !d.unique:
			one := *ix
			n := len(d.columns)
			one.Name, one.Columns, one.Unique, one.Distinct = d.name, d.columns, false, ix.Distinct[:n]
			one.Biggest = ix.Biggest[:min(n, len(ix.Biggest))]
			found = &one
		}
	}
	return found
}

// sameColumns reports whether a list begins with the wanted columns.
func sameColumns(have, want []string) bool {
	return len(have) >= len(want) && slices.EqualFunc(have[:len(want)], want, strings.EqualFold)
}

// appended are the columns of the clustered index that InnoDB adds to this one.
func (d *declared) appended(ix *declaredIndex) []string {
	clustered := d.clustered()
	switch {
	case ix.unique, clustered == ix:
		return nil
	case clustered == nil:
		return []string{"DB_ROW_ID"}
	}
	var out []string
	for _, c := range clustered.columns {
		if !slices.ContainsFunc(ix.columns, func(have string) bool { return strings.EqualFold(have, c) }) {
			out = append(out, c)
		}
	}
	return out
}

// clustered is the primary key, or nil if InnoDB numbers the rows itself (or uses a unique key, which does no harm here:
// a prefix too many is not read).
func (d *declared) clustered() *declaredIndex {
	for i := range d.indexes {
		if d.indexes[i].name == "PRIMARY" {
			return &d.indexes[i]
		}
	}
	return nil
}

// keptTable is what InnoDB keeps about a table or a partition.
type keptTable struct {
	name                    string
	rows, pages, otherPages int64
	figures                 []statFigure
}

type statFigure struct {
	index, stat, about string
	value              int64
}

// keptTables is what to write into mysql.innodb_table_stats and innodb_index_stats.
func keptTables(tables []*fitted) []keptTable {
	var out []keptTable
	for _, f := range tables {
		if len(f.declared.partitions) == 0 {
			k := keptTable{name: f.declared.name, rows: f.stats.Rows, pages: f.stats.Pages, otherPages: f.stats.OtherPages}
			k.figures = f.figures(f.stats.Rows, f.stats.Indexes)
			out = append(out, k)
			continue
		}
		for _, part := range f.declared.partitions {
			p := f.partition(part.name)
			k := keptTable{name: f.declared.name + part.suffix, rows: p.Rows, pages: p.Pages, otherPages: p.OtherPages}
			k.figures = f.figures(p.Rows, p.Indexes)
			out = append(out, k)
		}
	}
	return out
}

// partition returns the statistics for a partition here. Where production has none of that name, every such one is as
// large as its largest, or as an equal share of the table if that is more.
func (f *fitted) partition(name string) PartitionStats {
	var largest PartitionStats
	for _, p := range f.stats.Partitions {
		if strings.EqualFold(p.Name, name) {
			return p
		}
		if p.Rows >= largest.Rows {
			largest = p
		}
	}
	n := int64(len(f.declared.partitions))
	share := PartitionStats{
		Name: name, Rows: (f.stats.Rows + n - 1) / n, Pages: (f.stats.Pages + n - 1) / n, OtherPages: (f.stats.OtherPages + n - 1) / n,
		Indexes: cloneIndexes(f.stats.Indexes),
	}
	if largest.Rows >= share.Rows {
		return largest
	}
	for i := range share.Indexes {
		for k, d := range share.Indexes[i].Distinct {
			share.Indexes[i].Distinct[k] = min(d, share.Rows)
		}
	}
	return share
}

// figures are those of each index, by the names it has here. An index that nothing is known about is given one value for
// all rows: the worst that can be.
func (f *fitted) figures(rows int64, from []IndexStats) []statFigure {
	var out []statFigure
	clustered := ""
	for _, ix := range f.indexes {
		var distinct []int64
		pages, leaf := int64(1), int64(1)
		if ix.stats != nil {
			distinct, pages, leaf = ix.stats.Distinct, ix.stats.Pages, ix.stats.LeafPages
			if at := byName(from, ix.stats.Name); at >= 0 {
				distinct, pages, leaf = from[at].Distinct, from[at].Pages, from[at].LeafPages
			}
		}
		columns := slices.Concat(ix.columns, ix.appends)
		for k := range ix.parts {
			value := min(1, rows)
			switch {
			case k < len(distinct) && ix.stats != nil:
				value = distinct[k]
			case k >= len(ix.columns):
				value = rows // the primary key makes them all different
			}
			out = append(out, statFigure{ix.name, fmt.Sprintf("n_diff_pfx%02d", k+1), strings.Join(columns[:k+1], ","), value})
		}
		out = append(out, statFigure{ix.name, "n_leaf_pages", "Number of leaf pages in the index", max(leaf, 1)},
			statFigure{ix.name, "size", "Number of pages in the index", max(pages, 1)})
		if ix.name == "PRIMARY" {
			clustered = ix.name
		}
	}
	if clustered == "" {
		pages := max(f.stats.Pages, 1)
		out = append(out, statFigure{rowIDIndex, "n_diff_pfx01", "DB_ROW_ID", rows},
			statFigure{rowIDIndex, "n_leaf_pages", "Number of leaf pages in the index", pages}, statFigure{rowIDIndex, "size", "Number of pages in the index", pages})
	}
	for i := range out {
		out[i].about = shorten(out[i].about, 1024)
	}
	return out
}

// A mark is written as the time of a table's last statistics, long before this package existed: 14 bits tell which
// statistics they are, 16 which application of them. Whatever makes InnoDB take statistics of its own writes the present time.
const (
	markBits     = 16
	markKindBits = 14
)

func newMark(kind int64) int64 {
	return kind<<markBits | int64(rand.N(1<<markBits-1)+1)
}

// kind is a short fingerprint of the figures.
func (s *Stats) kind() int64 {
	h := fnv.New64a()
	text, _ := s.render() // of what was validated
	_, _ = h.Write(text)
	return int64(h.Sum64()>>(64-markKindBits)) | 1
}

// kindOf is the kind of a mark read back; 0 if it is none.
func kindOf(mark int64) int64 {
	if mark <= 0 || mark >= 1<<(markBits+markKindBits) {
		return 0
	}
	return mark >> markBits
}
