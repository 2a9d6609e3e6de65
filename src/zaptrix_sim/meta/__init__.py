"""WhatsApp as Meta's Cloud API shows it: numbers, the customers' phones, the Graph API and its webhooks."""
