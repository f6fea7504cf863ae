"""Linear dynamical systems: Kalman filtering and smoothing, exact gradients, estimation, structural models, ARIMA."""
