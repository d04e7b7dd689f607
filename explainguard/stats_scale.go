package explainguard

import (
	"math"
	"slices"
	"strings"
)

// Scale returns statistics of a database that has grown by a factor, above or below 1, with the same kinds of rows: row counts,
// pages and biggest groups are multiplied. The numbers of different values grow with the rows where values are
// almost as many as rows (in unique indexes, and prefixes in which a value has at most two rows on average), and stay
// where a value has many: more reservations, not more tenants. No prefix has fewer different values than a shorter one, nor more than rows.
//
// It changes a copy. A factor that is no positive number gives an unchanged one.
func (s *Stats) Scale(factor float64) *Stats {
	c := s.clone()
	if math.IsNaN(factor) || math.IsInf(factor, 0) || factor <= 0 {
		return c
	}
	c.Factor = orDefault(c.Factor, 1) * factor
	for i := range c.Tables {
		t := &c.Tables[i]
		rows := t.Rows
		t.Rows, t.Pages, t.OtherPages = times(t.Rows, factor), times(t.Pages, factor), times(t.OtherPages, factor)
		scaleIndexes(t.Indexes, rows, t.Rows, factor)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			rows := p.Rows
			p.Rows, p.Pages, p.OtherPages = times(p.Rows, factor), times(p.Pages, factor), times(p.OtherPages, factor)
			scaleIndexes(p.Indexes, rows, p.Rows, factor)
		}
	}
	return c
}

// times keeps what is there from vanishing, and -1 as it is.
func times(n int64, factor float64) int64 {
	if n <= 0 {
		return n
	}
	if v := float64(n) * factor; v < math.MaxInt64/2 {
		return max(1, int64(math.Round(v)))
	}
	return math.MaxInt64 / 2
}

// fewPerValue is up to how many rows a value counts as nearly unique.
const fewPerValue = 2

func scaleIndexes(list []IndexStats, rowsBefore, rows int64, factor float64) {
	for i := range list {
		ix := &list[i]
		ix.Pages, ix.LeafPages, ix.Nulls = times(ix.Pages, factor), times(ix.LeafPages, factor), times(ix.Nulls, factor)
		for k, n := range ix.Distinct {
			if n*fewPerValue >= rowsBefore || ix.Unique && k+1 == len(ix.Columns) {
				n = times(n, factor)
			}
			if k > 0 {
				n = max(n, ix.Distinct[k-1])
			}
			ix.Distinct[k] = min(n, rows)
		}
		for k, n := range ix.Biggest {
			ix.Biggest[k] = min(times(n, factor), rows)
		}
	}
}

// tenantShare is the part of a table that one value must own for its column to be taken for a tenant's.
const tenantShare = 0.01

// BiggestGroup returns statistics by which every value of a tenant-like column is as frequent as the most frequent one. Index
// statistics are averages, and averages hide the one large tenant for whom the query takes twenty minutes.
//
// Without arguments a column is tenant-like if it leads an index of any table in which its most frequent value (NULL
// excepted) owns at least 1 % of the rows; columns of that name lead indexes of other tables, and all of those are changed. With
// arguments ("tenant_id", or "orders.tenant_id" for one table) those columns are, and no others.
//
// In each such index the number of different values of a prefix becomes rows ÷ its biggest group, but at least that of
// a shorter prefix, and never more than it was, unless it was rows with NULL that made the average; unique indexes keep that of their whole. An index whose group was not measured
// keeps its average, and a Guard does not judge what it looks up there by a constant (see Unknown).
//
// It changes a copy.
func (s *Stats) BiggestGroup(columns ...string) *Stats {
	c := s.clone()
	c.Mode = ModeBiggest
	tenant := s.tenantLike(columns)
	for i := range c.Tables {
		t := &c.Tables[i]
		for j := range t.Indexes {
			ix := &t.Indexes[j]
			if !tenant(t.Name, ix) {
				continue
			}
			lower(ix.Distinct, ix, t.Rows)
			for k := range t.Partitions {
				p := &t.Partitions[k]
				if at := byName(p.Indexes, ix.Name); at >= 0 {
					lower(p.Indexes[at].Distinct, ix, p.Rows) // the group may lie in one partition as a whole
				}
			}
		}
	}
	return c
}

// Averages returns the statistics as they are, marked so that a Guard takes no BiggestGroup of them.
func (s *Stats) Averages() *Stats {
	c := s.clone()
	c.Mode = ModeAverages
	return c
}

// tenantLike returns which indexes are led by a tenant-like column.
func (s *Stats) tenantLike(columns []string) func(table string, ix *IndexStats) bool {
	known := map[string]bool{}
	for _, name := range columns {
		known[strings.ToLower(name)] = true
	}
	if len(columns) == 0 {
		for _, t := range s.Tables {
			for _, ix := range t.Indexes {
				if len(ix.Biggest) > 0 && float64(ix.Biggest[0]) >= tenantShare*float64(t.Rows) && ix.Biggest[0] > 1 {
					known[strings.ToLower(ix.Columns[0])] = true
				}
			}
		}
	}
	return func(table string, ix *IndexStats) bool {
		if len(ix.Columns) == 0 {
			return false
		}
		column := strings.ToLower(ix.Columns[0])
		return known[column] || known[strings.ToLower(table)+"."+column]
	}
}

// lower changes the numbers of different values so that an average group is as large as the biggest.
func lower(distinct []int64, ix *IndexStats, rows int64) {
	least := int64(1)
	for k := range distinct {
		if k < len(ix.Biggest) && ix.Biggest[k] > 0 {
			most := max(rows/ix.Biggest[k], 1)
			if k > 0 || ix.Nulls <= 0 {
				most = min(most, distinct[k])
			}
			distinct[k] = most
		}
		distinct[k] = max(distinct[k], min(least, rows))
		least = distinct[k]
	}
}

// Unknown lists what the statistics do not tell and a Guard therefore does not judge, sorted.
func (s *Stats) Unknown() []string {
	var out []string
	for _, t := range s.sorted() {
		for _, ix := range t.Indexes {
			if len(ix.Distinct) == 0 {
				out = append(out, t.Name+"."+ix.Name+": the number of different values")
			}
			if len(ix.Columns) > 0 && s.groupUnknown(&ix) {
				out = append(out, t.Name+"."+ix.Name+": the biggest group of "+ix.Columns[0])
			}
			if ix.Nulls < 0 {
				out = append(out, t.Name+"."+ix.Name+": how many rows have NULL in "+ix.Columns[0])
			}
		}
		for _, h := range t.Histograms {
			if len(h.Values) == 0 {
				out = append(out, t.Name+"."+h.Column+": the histogram's values")
			}
		}
	}
	return slices.Compact(out)
}

// groupUnknown reports whether the biggest group of the first column is not known.
func (s *Stats) groupUnknown(ix *IndexStats) bool {
	if ix.Unique && len(ix.Columns) == 1 {
		return false
	}
	return len(ix.Biggest) == 0 || ix.Biggest[0] < 0
}
