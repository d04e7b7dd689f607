package explainguard

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// An index is tried on a copy of the table that only one session sees. These bound what that may cost.
const (
	maxCopiedRows = 200_000
	maxIndexTries = 4
	indexTimeout  = 10 * time.Second
)

// indexCandidate is an index that might help the access that a finding points at.
type indexCandidate struct {
	finding *Finding
	node    *Node
	columns []string
}

func (c indexCandidate) what() string {
	return fmt.Sprintf("an index on %s (%s)", c.node.Table, strings.Join(c.columns, ", "))
}

func (c indexCandidate) ddl() string {
	quoted := make([]string, len(c.columns))
	for i, column := range c.columns {
		quoted[i] = quoteIdentifier(column)
	}
	return fmt.Sprintf("ALTER TABLE %s ADD INDEX (%s)", quoteName(c.node.Schema, c.node.Table), strings.Join(quoted, ", "))
}

// indexCandidates proposes, for the heaviest accesses that findings point at, the columns that are compared there: with
// constants first, then with other tables, then a range.
func indexCandidates(r *Report) []indexCandidate {
	var out []indexCandidate
	seen := map[*Node]bool{}
	texts := conditionTexts(r.Plan)
	for i := range r.Findings {
		f := &r.Findings[i]
		n := f.Node
		if n == nil || f.fix != nil || seen[n] || !n.Base || n.Table == "" || n.Schema == "" || n.Access == AccessConst || n.Access == AccessUnique {
			continue
		}
		seen[n] = true
		equal, ranges := comparedColumns(texts, n.Name())
		for _, columns := range [][]string{
			slices.Concat(equal, ranges[:min(1, len(ranges))]), equal, ranges[:min(1, len(ranges))],
		} {
			if len(columns) == 0 || slices.Equal(columns, n.KeyColumns) ||
				slices.ContainsFunc(out, func(c indexCandidate) bool { return c.node == n && slices.Equal(c.columns, columns) }) {
				continue
			}
			out = append(out, indexCandidate{f, n, columns})
		}
	}
	return out[:min(len(out), maxIndexTries)]
}

// conditionTexts gathers every condition that the plan shows, and the rewritten statement, without quotes and schemas.
func conditionTexts(p *Plan) []string {
	texts := []string{p.Rewritten}
	p.Root.Root.walk(func(n *Node) { texts = append(texts, n.Conditions...) })
	for i, t := range texts {
		texts[i] = strings.ReplaceAll(t, "`", "")
	}
	return texts
}

// comparison finds alias.column followed, or preceded, by a comparison.
var comparison = regexp.MustCompile(`([\pL\pN_$]+)\.([\pL\pN_$]+) *(<=>|=|in\b|between\b|like\b|<=|>=|<>|<|>)|= *(?:[\pL\pN_$]+\.)?([\pL\pN_$]+)\.([\pL\pN_$]+)\b`)

func comparedColumns(texts []string, alias string) (equal, ranges []string) {
	add := func(to *[]string, column string) {
		if !slices.Contains(equal, column) && !slices.Contains(ranges, column) {
			*to = append(*to, column)
		}
	}
	for _, t := range texts {
		for _, m := range comparison.FindAllStringSubmatch(t, -1) {
			switch {
			case m[4] == alias:
				add(&equal, m[5])
			case m[1] != alias, m[3] == "<>":
			case m[3] == "=", m[3] == "<=>", m[3] == "in":
				add(&equal, m[2])
			default:
				add(&ranges, m[2])
			}
		}
	}
	return equal, ranges
}

// tryIndex explains the statement with a temporary copy of the table, which hides the table from this one session, first
// as it is and then with the index. The table itself is only read. On a table that is empty, too large, or of which the
// copy is not planned as the table is, nothing can be proven.
func (g *Guard) tryIndex(ctx context.Context, db *sql.DB, r *Report, c indexCandidate) *Suggestion {
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	uses := 0
	for _, b := range r.Plan.Blocks() {
		for _, n := range b.Accesses() {
			if n.Schema == c.node.Schema && n.Table == c.node.Table {
				uses++
			}
		}
	}
	if uses != 1 { // a temporary table cannot be opened twice in one statement
		return nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil
	}
	defer conn.Close()
	// The session ends with the trial, and the temporary table with it.
	defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }()
	if err := shadow(ctx, conn, c.node.Schema, c.node.Table); err != nil {
		return nil
	}
	plan := func() *Plan {
		var p *Plan
		_ = conn.Raw(func(raw any) error { // a trial that fails proves nothing
			one := onConn(raw.(driver.Conn))
			defer one.Close()
			p, err = Explainer{DB: one, Format: g.Format}.Explain(ctx, r.Query, r.Args...)
			return nil
		})
		if err != nil {
			return nil
		}
		return p
	}
	copied := plan()
	if !copied.Analysable() {
		return nil
	}
	if same := Measure(copied).Total; same > 2*r.Work.Total || same < r.Work.Total/2 {
		return nil
	}
	if _, err := conn.ExecContext(ctx, c.ddl()); err != nil {
		return nil
	}
	p := plan()
	if !helps(r.Work, p) {
		return nil
	}
	return &Suggestion{What: c.what(), Statement: c.ddl(), Before: r.Work.Total, After: Measure(p).Total}
}

// shadow puts a temporary copy of a table in its place, for this session.
func shadow(ctx context.Context, conn *sql.Conn, schema, table string) error {
	name := quoteName(schema, table)
	var count int
	if err := conn.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 FROM %s LIMIT %d) n", name, maxCopiedRows+1)).Scan(&count); err != nil {
		return err
	}
	if count == 0 || count > maxCopiedRows {
		return fmt.Errorf("%s has too few or too many rows to copy", table)
	}
	columns, err := storedColumns(ctx, conn, schema, table)
	if err != nil {
		return err
	}
	copied := quoteName(schema, "explainguard_"+fmt.Sprintf("%x", time.Now().UnixNano()))
	for _, statement := range []string{
		"SET SESSION lock_wait_timeout = 1, foreign_key_checks = 0, unique_checks = 0",
		"CREATE TEMPORARY TABLE " + copied + " LIKE " + name,
		"INSERT INTO " + copied + " (" + columns + ") SELECT " + columns + " FROM " + name,
		"ALTER TABLE " + copied + " RENAME TO " + name,
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// storedColumns lists a table's columns other than generated ones, quoted.
func storedColumns(ctx context.Context, conn *sql.Conn, schema, table string) (string, error) {
	rows, err := conn.QueryContext(ctx, "SELECT column_name FROM information_schema.columns "+
		"WHERE table_schema = ? AND table_name = ? AND generation_expression = '' ORDER BY ordinal_position", schema, table)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return "", err
		}
		names = append(names, quoteIdentifier(name))
	}
	return strings.Join(names, ", "), rows.Err()
}
