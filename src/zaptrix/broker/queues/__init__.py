"""The four queues, by BullMQ: bells, and the workers that answer them."""
