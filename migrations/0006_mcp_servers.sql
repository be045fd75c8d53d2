CREATE TABLE `mcp_servers` (
	`repository_id` text NOT NULL,
	`name` text NOT NULL,
	`settings` text NOT NULL,
	`headers` text,
	`header_names` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`repository_id`, `name`),
	FOREIGN KEY (`repository_id`) REFERENCES `repositories`(`id`) ON UPDATE no action ON DELETE cascade
);
