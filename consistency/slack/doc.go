// Package slack tells a Slack channel what package consistency finds: one thread for each incident, kept current, until it is resolved.
//
//	runner.Notifiers = append(runner.Notifiers, &slack.Notifier{
//		Token:   os.Getenv("SLACK_BOT_TOKEN"), // xoxb-…
//		Channel: "C024BE91L",                  // the ID, from the channel's About page
//		Mention: map[consistency.Severity]string{
//			consistency.SeverityCritical: "<!subteam^S012AB3CD>",
//		},
//	})
//
// # Setting up the app
//
// Create an app at api.slack.com/apps, give its bot these scopes on the page OAuth & Permissions, install it, invite it to the channel, and call
// Notifier.Ping once: it names each scope that is missing.
//
//	chat:write        post messages and keep the headline current; without it there is nothing
//	channels:history  find its own earlier message before a second thread is begun, after a process was killed between posting
//	                  and remembering (groups:history for a private channel); without it there may be two
//	files:write       attach the rows as a file when they are too many or too long for a message; without it the first ones are shown
//	reactions:read    acknowledge and mute by reaction; without it Acks is an error
//
// An incoming webhook will not do: it never learns where its message is, so it can follow no thread.
//
// # What is told
//
// The first message of a thread says how the check stands now, the count first:
//
//	🔴 128 (+3 −7, oldest 4d): orders-without-payment
//	severity normal · owner payments · since Nov 18, 9:00 AM
//	runbook: https://wiki.example/orders
//
// It is edited with each run, quietly. Into the thread go the rows as JSON, those first that people do not know yet; what does not fit is a file, rows.json.
// A change for the worse, an outcome of "could not tell" and a reminder are shown in the channel as well, and mention whom Mention names. The end is told once, with
// how long it took, and the first message becomes ✅. When and how often people are reminded is the Runner's business (Meta.Remind).
//
// # Answering
//
// A reaction to the first message answers it: 👀 (eyes) means "somebody is on it", so that there is no reminder for 24 h; 🔕 (no_bell) means "these rows"
// are known, and cause none until they are resolved. Taking the reaction away takes the answer back.
//
// # When Slack fails
//
// Requests are spaced (one message a second and channel), and tried again after 429, 5xx, Slack's own transient codes and a broken connection, as long as the
// context lasts. Before it posts again what may have been posted, it looks. What could not be delivered is remembered in the Receipt and made good with the next event.
// An error names what was to be done, Slack's code, the scope where one is missing, and the way out; see Error. The token is in no error and no log.
package slack
