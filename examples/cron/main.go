// Cron runs every check of the folder checks once and tells Slack, one thread for each check: a Kubernetes CronJob, or a line of crontab.
package main

import (
	"context"
	"database/sql"
	"errors"
	"log"
	"os"

	_ "github.com/go-sql-driver/mysql"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/slack"
)

func main() {
	shop, err1 := sql.Open("mysql", os.Getenv("SHOP_DSN"))
	billing, err2 := sql.Open("mysql", os.Getenv("BILLING_DSN"))
	checks, err3 := consistency.LoadFS(os.DirFS("checks"), map[string]*sql.DB{"shop": shop, "billing": billing})
	tell := &slack.Notifier{Token: os.Getenv("SLACK_TOKEN"), Channel: os.Getenv("SLACK_CHANNEL"), APIURL: os.Getenv("SLACK_API_URL")}
	runner := consistency.Runner{Checks: checks, Store: consistency.FileStore{Dir: "state"}, Notifiers: []consistency.Notifier{tell}}
	summary, err4 := runner.Run(context.Background())
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		log.Fatal(err)
	}
	log.Print(summary)
}
