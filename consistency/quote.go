package consistency

import "strings"

// quoteName quotes the name of a table or column for MySQL and MariaDB.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
