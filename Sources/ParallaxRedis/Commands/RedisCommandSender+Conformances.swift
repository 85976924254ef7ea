extension RedisClient: RedisCommandSender {}

extension RedisLeasedConnection: RedisCommandSender {}
