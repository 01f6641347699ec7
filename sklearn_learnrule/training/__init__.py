"""How models are fitted: data sets, skorch's net, optimizers, standard errors."""
