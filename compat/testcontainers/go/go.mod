module klamm/compat/testcontainers

go 1.24

require (
	github.com/testcontainers/testcontainers-go/modules/kafka v0.40.0
	github.com/twmb/franz-go v1.19.5
)
