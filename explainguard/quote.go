package explainguard

import "strings"

// quoteIdentifier writes a name as SQL.
func quoteIdentifier(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// quoteName writes a table's name as SQL.
func quoteName(schema, table string) string {
	return quoteIdentifier(schema) + "." + quoteIdentifier(table)
}
