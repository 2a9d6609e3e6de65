"""Who a customer is: ids, numbers and their spellings, names, and the conversation with one channel; pure."""
