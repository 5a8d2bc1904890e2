// Package promroomtoken exports the statistics of a [roomtoken.Manager] to Prometheus.
//
//	registry.MustRegister(promroomtoken.NewCollector(manager))
//
// All metrics come from [roomtoken.Manager.Stats], one call of it per scrape: nothing is
// counted twice, no event can be lost, and a hit costs what it costs without. The labels
// have fixed values, so a Manager has about 150 series whether it has one room or a
// million. No label holds a room ID.
//
// A registry takes the metrics of two Managers if they have a label that tells them apart:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"account": "eu"}, registry).MustRegister(...)
//
// Beside the package are recording rules and alerts in prometheus/, and a dashboard in
// grafana/; the README says how to use them.
package promroomtoken
